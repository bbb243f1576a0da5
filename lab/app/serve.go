package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

const (
	address = ":8080"
	// What is still being answered when the drain is over may take this long.
	shutdownLimit = 2 * time.Second
)

// serve answers on port 8080 until SIGTERM or SIGINT, drains, and returns.
// SIGUSR1 makes readiness fail, SIGUSR2 lets it pass again: a sick pod on demand.
func serve(config Config, signals <-chan os.Signal) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return serveOn(listener, config, signals)
}

func serveOn(listener net.Listener, config Config, signals <-chan os.Signal) error {
	s := newService(config, time.Now)
	return s.run(listener, s.handler(), "user-service", signals)
}

func (s *service) run(listener net.Listener, handler http.Handler, name string, signals <-chan os.Signal) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       75 * time.Second, // above the edge's: the caller closes first
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	s.state.Store(ready)
	log.Printf("%s %s of %s serves on %s", name, s.config.Version, s.config.Region, listener.Addr())
	for {
		select {
		case err := <-failed:
			return err
		case got := <-signals:
			switch got {
			case syscall.SIGUSR1:
				s.state.Store(sick)
			case syscall.SIGUSR2:
				s.state.Store(ready)
			default:
				return s.drain(server)
			}
		}
	}
}

func (s *service) drain(server *http.Server) error {
	s.state.Store(draining)
	time.Sleep(s.config.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}
