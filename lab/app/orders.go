package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"regexp"
	"time"
)

// placeLimit bounds all of a request's work: connects take up to 0.5 s, statements up to 1 s.
const placeLimit = 3 * time.Second

// outcome is what is known of a write when it is answered.
type outcome int

const (
	unknown outcome = iota // It may be there, or come to be there.
	written                // Everything is written.
	nothing                // Nothing was written, and nothing will be.
)

// errSureNothing is wrapped by errors of a store that prove that it wrote nothing.
var errSureNothing = errors.New("nothing was written")

// transaction is one that has begun. None of its writes is there before commit was called.
type transaction interface {
	// add writes the order and its event; false when the order was there already, committed.
	add(ctx context.Context, id string) (bool, error)
	// commit ends it. Only an error that wraps errSureNothing says that it did not happen.
	commit() error
	rollback()
}

type database interface {
	// begin fails before anything is written.
	begin(ctx context.Context) (transaction, error)
	takesWrites(ctx context.Context) error
}

type cache interface {
	put(ctx context.Context, id string) error
	takesWrites(ctx context.Context) error
}

// place writes an order, in this order: 1. one transaction with the order and
// the event in the outbox, 2. the cache entry. Idempotent by id.
func place(ctx context.Context, db database, entries cache, id string) (outcome, error) {
	tx, err := db.begin(ctx)
	if err != nil {
		return nothing, err
	}
	defer tx.rollback()
	fresh, err := tx.add(ctx, id)
	if errors.Is(err, errSureNothing) {
		return nothing, err
	}
	if err != nil {
		// Perhaps it waited for another request with the same id.
		return unknown, err
	}
	if fresh {
		if err := tx.commit(); errors.Is(err, errSureNothing) {
			return nothing, err
		} else if err != nil {
			return unknown, err
		}
	} else {
		tx.rollback()
	}
	if err := entries.put(ctx, id); err != nil {
		return unknown, err
	}
	return written, nil
}

var validID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

type orders struct {
	*service
	stores *stores
}

func (o *orders) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", o.post)
	// Ready for Kubernetes is a pod that can answer; whether its region is worth
	// asking is the balancer's question: a lost store must not fail every pod.
	mux.HandleFunc("GET /readyz", o.service.healthz)
	mux.HandleFunc("GET /healthz", o.healthz)
	mux.Handle("/", o.service.handler())
	return o.closing(mux)
}

func (o *orders) healthz(w http.ResponseWriter, r *http.Request) {
	if reason := o.stores.sick(); reason != "" && o.state.Load() == ready {
		reply(w, http.StatusServiceUnavailable, map[string]string{"status": reason})
		return
	}
	o.service.healthz(w, r)
}

func (o *orders) post(w http.ResponseWriter, r *http.Request) {
	began := o.now()
	o.metrics.begin()
	code := o.order(w, r)
	o.metrics.end(code, o.now().Sub(began))
}

func (o *orders) order(w http.ResponseWriter, r *http.Request) int {
	var asked struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&asked); err != nil || !validID.MatchString(asked.ID) {
		return o.say(w, http.StatusBadRequest, nothing, `the body must be {"id": "..."}, 1 to 128 of A-Z a-z 0-9 . _ : -`)
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" && key != asked.ID {
		return o.say(w, http.StatusConflict, nothing, "the header Idempotency-Key is not the id")
	}
	// Not the request's own context: work that has begun is brought to its end, whether the caller waits or not.
	ctx, cancel := context.WithTimeout(context.Background(), placeLimit)
	defer cancel()
	db, entries, err := o.stores.current()
	if err != nil {
		return o.say(w, http.StatusServiceUnavailable, nothing, err.Error())
	}
	found, err := place(ctx, db, entries, asked.ID)
	switch found {
	case written:
		return o.say(w, http.StatusOK, written, "")
	case nothing:
		return o.say(w, http.StatusServiceUnavailable, nothing, err.Error())
	}
	log.Printf("order %s: unknown outcome: %v", asked.ID, err)
	return o.say(w, http.StatusInternalServerError, unknown, err.Error())
}

func (o *orders) say(w http.ResponseWriter, code int, found outcome, reason string) int {
	body := map[string]any{"committed": nil, "region": o.config.Region, "pod": o.config.Pod}
	if found != unknown {
		body["committed"] = found == written
	}
	if reason != "" {
		body["reason"] = reason
	}
	reply(w, code, body)
	return code
}
