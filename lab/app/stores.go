package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// lookEvery is how often addresses are read and stores asked.
	lookEvery = 500 * time.Millisecond
	// A store that is no longer the address's is closed once nothing can still be using it.
	closeAfter = placeLimit + time.Second
)

// stores are the servers at the addresses that the mounted ConfigMap names: a
// changed file is followed within lookEvery.
type stores struct {
	folder     string
	openDB     func(address string) (database, func(), error)
	openCache  func(address string) (cache, func(), error)
	mu         sync.Mutex
	db         database
	cache      cache
	addresses  [2]string
	close      [2]func()
	unwritable string
}

// current are the stores to write to now.
func (s *stores) current() (database, cache, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || s.cache == nil {
		return nil, nil, errors.New("no store has an address yet")
	}
	return s.db, s.cache, nil
}

// sick says why no writes are taken; empty when they are.
func (s *stores) sick() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unwritable
}

// at is the address of the database.
func (s *stores) at() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses[0]
}

// watch follows the addresses and asks the stores whether they take writes, until ctx ends.
func (s *stores) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.follow(); err != nil {
			log.Printf("the stores' addresses: %v", err)
		}
		reason := s.ask(ctx)
		s.mu.Lock()
		if reason != s.unwritable {
			log.Printf("the stores take writes: %t %s", reason == "", reason)
		}
		s.unwritable = reason
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow opens what has a new address.
func (s *stores) follow() error {
	db, err := s.read("orders-db")
	if err != nil {
		return err
	}
	entries, err := s.read("orders-cache")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if db != s.addresses[0] {
		opened, end, err := s.openDB(db)
		if err != nil {
			return err
		}
		s.replace(0, db, end)
		s.db = opened
	}
	if entries != s.addresses[1] {
		opened, end, err := s.openCache(entries)
		if err != nil {
			return err
		}
		s.replace(1, entries, end)
		s.cache = opened
	}
	return nil
}

func (s *stores) replace(which int, address string, end func()) {
	log.Printf("store %q -> %q", s.addresses[which], address)
	if old := s.close[which]; old != nil {
		time.AfterFunc(closeAfter, old)
	}
	s.addresses[which], s.close[which] = address, end
}

func (s *stores) read(key string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.folder, key))
	if err != nil {
		return "", err
	}
	if address := strings.TrimSpace(string(text)); address != "" {
		return address, nil
	}
	return "", fmt.Errorf("%s is empty", key)
}

func (s *stores) ask(ctx context.Context) string {
	db, entries, err := s.current()
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := db.takesWrites(ctx); err != nil {
		return "database: " + err.Error()
	}
	if err := entries.takesWrites(ctx); err != nil {
		return "cache: " + err.Error()
	}
	return ""
}
