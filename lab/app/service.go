package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"
)

// States of a service; only in ready does /healthz answer 200.
const (
	starting int32 = iota
	ready
	sick
	draining
)

var why = map[int32]string{starting: "starting up", sick: "switched to sick", draining: "shutting down"}

type service struct {
	config  Config
	now     func() time.Time
	state   atomic.Int32
	bucket  *bucket
	metrics *metrics
}

func newService(config Config, now func() time.Time) *service {
	return &service{
		config:  config,
		now:     now,
		bucket:  newBucket(config.Capacity, now()),
		metrics: newMetrics(),
	}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.answer)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		s.metrics.write(w)
	})
	return s.closing(mux)
}

// closing tells callers with kept-alive connections to move on while the pod drains.
func (s *service) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.state.Load() == draining {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *service) answer(w http.ResponseWriter, _ *http.Request) {
	began := s.now()
	s.metrics.begin()
	code := http.StatusOK
	body := map[string]string{"region": s.config.Region, "pod": s.config.Pod, "version": s.config.Version}
	if !s.bucket.take(began) {
		code = http.StatusServiceUnavailable
		body["error"] = "over capacity"
	}
	reply(w, code, body)
	s.metrics.end(code, s.now().Sub(began))
}

func (s *service) healthz(w http.ResponseWriter, _ *http.Request) {
	if reason, found := why[s.state.Load()]; found {
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": reason})
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// The caller has gone if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
