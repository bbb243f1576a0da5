package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPauseReapsAndEndsOnTerm(t *testing.T) {
	signals := make(chan os.Signal, 2)
	ended := make(chan struct{})
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { pause(signals); close(ended) }()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		signals <- syscall.SIGCHLD
		if syscall.Kill(child.Process.Pid, 0) == syscall.ESRCH {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child was not reaped")
		}
	}
	signals <- syscall.SIGTERM
	select {
	case <-ended:
	case <-time.After(time.Second):
		t.Fatal("pause does not end")
	}
}

func TestUnknownCommandIsNamed(t *testing.T) {
	if err := run("sevre", nil); err == nil || !strings.Contains(err.Error(), `"sevre"; known: pause, serve`) {
		t.Fatal(err)
	}
}
