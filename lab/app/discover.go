package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Debian's Prometheus is built without Kubernetes discovery, so this is it: an
// HTTP service discovery that asks the API server for pods each time it is asked.
// When the API server does not answer neither does this, and Prometheus keeps
// the targets that it knows.

type discovery struct {
	client *http.Client
	pods   string
	port   string
}

func discover(args []string) error {
	flags := flag.NewFlagSet("discover", flag.ContinueOnError)
	listen := flags.String("listen", "", "host:port to answer on")
	pods := flags.String("pods", "", "URL of the list of pods at the API server")
	port := flags.String("port", "8080", "port of the pods' metrics")
	ca := flags.String("ca", "", "PEM file of the API server's CA")
	cert := flags.String("cert", "", "PEM file of the client certificate")
	key := flags.String("key", "", "PEM file of the client key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := clientTLS(*ca, *cert, *key)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	server := &http.Server{
		Addr:         *listen,
		Handler:      &discovery{client: client, pods: *pods, port: *port},
		ReadTimeout:  2 * time.Second,
		WriteTimeout: 5 * time.Second,
	}
	return server.ListenAndServe()
}

func clientTLS(ca, cert, key string) (*tls.Config, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// target is one entry of Prometheus's HTTP service discovery.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

type podList struct {
	Items []struct {
		Metadata struct{ Name, Namespace string }
		Status   struct{ Phase, PodIP string }
	}
}

func (d *discovery) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	pods, err := d.list()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// The caller has gone if this fails; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(pods.targets(d.port))
}

func (d *discovery) list() (pods podList, err error) {
	response, err := d.client.Get(d.pods)
	if err != nil {
		return pods, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return pods, fmt.Errorf("the API server answers %s", response.Status)
	}
	return pods, json.NewDecoder(response.Body).Decode(&pods)
}

// targets leaves out finished pods: they keep an address that another pod may have by now.
func (p podList) targets(port string) []target {
	found := []target{}
	for _, pod := range p.Items {
		if pod.Status.PodIP == "" || pod.Status.Phase != "Running" {
			continue
		}
		found = append(found, target{
			Targets: []string{net.JoinHostPort(pod.Status.PodIP, port)},
			Labels:  map[string]string{"namespace": pod.Metadata.Namespace, "pod": pod.Metadata.Name},
		})
	}
	return found
}
