package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// Upper bounds in seconds.
var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}

// metrics counts the requests of clients; health checks and scrapes are not among them.
type metrics struct {
	mu       sync.Mutex
	codes    map[int]uint64
	inFlight int
	buckets  []uint64 // one per bound, not cumulative; the last is +Inf
	sum      float64
}

func newMetrics() *metrics {
	// A counter that exists from the start lets rate() see its first step.
	return &metrics{codes: map[int]uint64{200: 0, 503: 0}, buckets: make([]uint64, len(bounds)+1)}
}

func (m *metrics) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight++
}

func (m *metrics) end(code int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	m.codes[code]++
	seconds := took.Seconds()
	m.sum += seconds
	bucket, _ := slices.BinarySearch(bounds, seconds)
	m.buckets[bucket]++
}

// write prints the Prometheus text format, version 0.0.4.
func (m *metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprint(w, "# HELP http_requests_total Requests answered, by status code.\n# TYPE http_requests_total counter\n")
	for _, code := range slices.Sorted(maps.Keys(m.codes)) {
		fmt.Fprintf(w, "http_requests_total{code=\"%d\"} %d\n", code, m.codes[code])
	}
	fmt.Fprint(w, "# HELP http_requests_in_flight Requests being answered.\n# TYPE http_requests_in_flight gauge\n")
	fmt.Fprintf(w, "http_requests_in_flight %d\n", m.inFlight)
	fmt.Fprint(w, "# HELP http_request_duration_seconds Time to answer.\n# TYPE http_request_duration_seconds histogram\n")
	var count uint64
	for i, bound := range bounds {
		count += m.buckets[i]
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{le=\"%g\"} %d\n", bound, count)
	}
	count += m.buckets[len(bounds)]
	fmt.Fprintf(w, "http_request_duration_seconds_bucket{le=\"+Inf\"} %d\n", count)
	fmt.Fprintf(w, "http_request_duration_seconds_sum %g\nhttp_request_duration_seconds_count %d\n", m.sum, count)
}
