package main

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Config is what the environment says about this pod.
type Config struct {
	Region, Pod, Version string
	// Drain is how long requests are still answered after SIGTERM, so that
	// load balancers notice the failing readiness first.
	Drain time.Duration
	// Capacity is the requests per second that are answered; infinite by default.
	Capacity float64
}

func configFrom(getenv func(string) string) (Config, error) {
	c := Config{Region: getenv("REGION"), Pod: getenv("POD_NAME"), Version: getenv("VERSION")}
	for name, value := range map[string]string{"REGION": c.Region, "POD_NAME": c.Pod, "VERSION": c.Version} {
		if value == "" {
			return c, fmt.Errorf("the environment lacks %s", name)
		}
	}
	drain, err := number(getenv, "DRAIN", 2)
	if err != nil {
		return c, err
	}
	c.Drain = time.Duration(drain * float64(time.Second))
	c.Capacity, err = number(getenv, "CAPACITY", math.Inf(1))
	return c, err
}

func number(getenv func(string) string, name string, fallback float64) (float64, error) {
	text := getenv(name)
	if text == "" {
		return fallback, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || value < 0 {
		return 0, fmt.Errorf("%s=%q is not a number >= 0", name, text)
	}
	return value, nil
}
