package loadgen

import (
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// TestQuiet waits for a server that keeps the connections of clients that are
// gone, and goes on once it has closed them.
func TestQuiet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target := &url.URL{Scheme: "http", Host: l.Addr().String()}
	q, err := NewQuiet(t.Context(), target, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if local, err := q.Local(); !local || err != nil {
		t.Errorf("local: %t, %v", local, err)
	}
	const clients = 3
	var kept []net.Conn
	for range clients {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, s)
		c.Close()
	}
	left, err := q.Wait(t.Context(), time.Millisecond)
	if err != nil || left != "3 connections that the server has not closed" {
		t.Errorf("left %q, %v", left, err)
	}
	done := make(chan string)
	go func() {
		left, err := q.Wait(t.Context(), time.Minute)
		if err != nil {
			left = err.Error()
		}
		done <- left
	}()
	for _, s := range kept {
		s.Close()
	}
	if left := <-done; left != "" {
		t.Errorf("left %q", left)
	}
}

// TestQuietDescriptors looks at the process where the connections are not to be
// seen: those of a proxy to it.
func TestQuietDescriptors(t *testing.T) {
	q, err := NewQuiet(t.Context(), &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for range idleUpstream + 40 { // more than other tests' remains may close meanwhile
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	left, err := q.Wait(t.Context(), time.Millisecond)
	if err != nil || !strings.HasSuffix(left, " descriptors that the server has not closed") {
		t.Errorf("left %q, %v", left, err)
	}
	for _, f := range files {
		f.Close()
	}
	if left, err := q.Wait(t.Context(), time.Minute); left != "" || err != nil {
		t.Errorf("left %q, %v", left, err)
	}
}
