// Command app is the lab's own image: user-service and order-service, the services that
// drills rehearse, and the process that holds a pod's namespaces open. Outside of pods it finds them
// for Prometheus.
package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"serve"}
	}
	if err := run(args[0], args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(command string, args []string) error {
	switch command {
	case "pause":
		pause(notify(syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD))
		return nil
	case "serve":
		config, err := configFrom(os.Getenv)
		if err != nil {
			return err
		}
		return serve(config, notify(syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2))
	case "orders":
		config, err := configFrom(os.Getenv)
		if err != nil {
			return err
		}
		return serveOrders(config, os.Getenv("OWN_DATABASE"), notify(syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2))
	case "dump":
		return dumpOrders(os.Getenv("DUMPS"), os.Stdout)
	case "discover":
		return discover(args)
	}
	return fmt.Errorf("unknown command %q; known: pause, serve, orders, dump, discover", command)
}

func notify(signals ...os.Signal) <-chan os.Signal {
	c := make(chan os.Signal, 8)
	signal.Notify(c, signals...)
	return c
}
