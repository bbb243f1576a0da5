package main

import (
	"os"
	"syscall"
)

// pause returns on the first signal that is not SIGCHLD. Until then it reaps:
// in a pod that shares its process namespace it is process 1, and orphans land here.
func pause(signals <-chan os.Signal) {
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}
