package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

const pods = `{"items": [
	{"metadata": {"name": "a", "namespace": "production"}, "status": {"phase": "Running", "podIP": "198.19.1.2"}},
	{"metadata": {"name": "b", "namespace": "production"}, "status": {"phase": "Succeeded", "podIP": "198.19.1.2"}},
	{"metadata": {"name": "c", "namespace": "production"}, "status": {"phase": "Pending"}}
]}`

func ask(t *testing.T, api http.HandlerFunc) (int, string) {
	t.Helper()
	server := httptest.NewServer(api)
	defer server.Close()
	answer := httptest.NewRecorder()
	d := &discovery{client: server.Client(), pods: server.URL, port: "8080"}
	d.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	return answer.Code, answer.Body.String()
}

func TestDiscoverListsRunningPods(t *testing.T) {
	code, body := ask(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, pods) })
	want := `[{"targets":["198.19.1.2:8080"],"labels":{"namespace":"production","pod":"a"}}]` + "\n"
	if code != 200 || body != want {
		t.Fatalf("%d %s", code, body)
	}
}

func TestDiscoverDoesNotTurnAFailureIntoNoPods(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusServiceUnavailable} {
		if code, body := ask(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }); code != 502 {
			t.Fatalf("%d %s", code, body)
		}
	}
	if code, _ := ask(t, func(w http.ResponseWriter, _ *http.Request) {}); code != 502 {
		t.Fatal("an empty answer is not an empty list")
	}
}
