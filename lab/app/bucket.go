package main

import (
	"math"
	"sync"
	"time"
)

// bucket is a token bucket that holds at most one second's worth of requests.
// A rate of 0 takes nothing, an infinite one everything.
type bucket struct {
	mu     sync.Mutex
	rate   float64
	tokens float64
	last   time.Time
}

func newBucket(rate float64, now time.Time) *bucket {
	return &bucket{rate: rate, tokens: math.Ceil(rate), last: now}
}

func (b *bucket) take(now time.Time) bool {
	if math.IsInf(b.rate, 1) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(math.Ceil(b.rate), b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
