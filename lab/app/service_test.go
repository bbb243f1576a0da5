package main

import (
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

var demo = Config{Region: "us", Pod: "user-service-1", Version: "v1", Capacity: math.Inf(1)}

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// start serves on a port of the loopback; the returned function signals it.
func start(t *testing.T, config Config) (string, func(os.Signal), <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	ended := make(chan error, 1)
	go func() { ended <- serveOn(listener, config, signals) }()
	base := "http://" + listener.Addr().String()
	eventually(t, base+"/healthz", http.StatusOK)
	return base, func(s os.Signal) { signals <- s }, ended
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func eventually(t *testing.T, url string, code int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if response, _ := get(t, url); response.StatusCode == code {
			return
		}
	}
	t.Fatalf("%s did not come to answer %d", url, code)
}

func TestAnswerNamesRegionPodAndVersion(t *testing.T) {
	base, _, _ := start(t, demo)
	response, body := get(t, base+"/")
	var answer map[string]string
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || answer["region"] != "us" || answer["pod"] != "user-service-1" || answer["version"] != "v1" {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
}

func TestReadinessFailsWhileStarting(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: newService(demo, time.Now).handler()}
	defer server.Close()
	go func() { _ = server.Serve(listener) }()
	response, body := get(t, "http://"+listener.Addr().String()+"/healthz")
	if response.StatusCode != 503 || !strings.Contains(body, "starting up") {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
}

func TestReadinessFollowsTheFaultSwitch(t *testing.T) {
	base, signal, _ := start(t, demo)
	signal(syscall.SIGUSR1)
	eventually(t, base+"/healthz", 503)
	if response, _ := get(t, base+"/livez"); response.StatusCode != 200 {
		t.Fatal("a sick pod is alive")
	}
	signal(syscall.SIGUSR2)
	eventually(t, base+"/healthz", 200)
}

func TestDrainKeepsServingThenEnds(t *testing.T) {
	config := demo
	config.Drain = 300 * time.Millisecond
	base, signal, ended := start(t, config)
	signal(syscall.SIGTERM)
	eventually(t, base+"/healthz", 503)
	response, _ := get(t, base+"/")
	if response.StatusCode != 200 || !response.Close {
		t.Fatalf("while draining: %d, close %v", response.StatusCode, response.Close)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(3 * time.Second):
		t.Fatal("does not end")
	}
}

func TestOverCapacityIsRefusedButHealthy(t *testing.T) {
	config := demo
	config.Capacity = 0
	base, _, _ := start(t, config)
	response, body := get(t, base+"/")
	if response.StatusCode != 503 || !strings.Contains(body, "over capacity") {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	if response, _ := get(t, base+"/healthz"); response.StatusCode != 200 {
		t.Fatal("capacity must not decide on health")
	}
}

func TestBucketRefillsWithTime(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBucket(2, now)
	for i, want := range []bool{true, true, false} {
		if got := b.take(now); got != want {
			t.Fatalf("take %d: %v", i, got)
		}
	}
	if !b.take(now.Add(500 * time.Millisecond)) {
		t.Fatal("half a second is worth one request")
	}
	if b.take(now.Add(500 * time.Millisecond)) {
		t.Fatal("but not two")
	}
}

func TestConfigRefusesWhatItCannotRead(t *testing.T) {
	whole := map[string]string{"REGION": "us", "POD_NAME": "p", "VERSION": "v1"}
	if c, err := configFrom(env(whole)); err != nil || c.Drain != 2*time.Second || !math.IsInf(c.Capacity, 1) {
		t.Fatal(c, err)
	}
	for name, value := range map[string]string{"REGION": "", "CAPACITY": "many", "DRAIN": "-1"} {
		broken := map[string]string{"REGION": "us", "POD_NAME": "p", "VERSION": "v1", name: value}
		if _, err := configFrom(env(broken)); err == nil || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s=%q: %v", name, value, err)
		}
	}
}

func TestMetricsCountRequestsOnly(t *testing.T) {
	base, _, _ := start(t, demo)
	get(t, base+"/")
	get(t, base+"/healthz")
	_, body := get(t, base+"/metrics")
	for _, line := range []string{
		`http_requests_total{code="200"} 1`,
		`http_requests_total{code="503"} 0`,
		`http_requests_in_flight 0`,
		`http_request_duration_seconds_bucket{le="+Inf"} 1`,
		`http_request_duration_seconds_count 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s in\n%s", line, body)
		}
	}
}

func TestHistogramIsCumulative(t *testing.T) {
	m := newMetrics()
	for _, took := range []time.Duration{time.Millisecond, 3 * time.Millisecond, 5 * time.Second} {
		m.begin()
		m.end(200, took)
	}
	var text strings.Builder
	m.write(&text)
	for _, line := range []string{`{le="0.001"} 1`, `{le="0.005"} 2`, `{le="2.5"} 2`, `{le="+Inf"} 3`} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %s in\n%s", line, text.String())
		}
	}
}
