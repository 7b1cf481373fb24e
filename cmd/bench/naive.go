package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fltool/fltool/server/wire"
)

// naiveArg makes this binary the server, or the client, that one writes on net/http
// without a thought.
const naiveArg = "naive"

// serveNaive plays one of them: "server", with a certificate and its key or without,
// or "client" with a URL and a number of polls.
func serveNaive(args []string) error {
	if args[0] == "client" {
		n := 0
		if _, err := fmt.Sscan(args[2], &n); err != nil {
			return err
		}
		return holdNaively(args[1], n)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on %s\n", l.Addr())
	if len(args) == 3 {
		return http.ServeTLS(l, newNaive(), args[1], args[2])
	}
	return http.Serve(l, newNaive()) // #nosec G114 -- polls are held for long, and the peer is our own
}

func holdNaively(url string, n int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if resp, err := client.Get(url); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
	return nil
}

// keyless ends the ids of workers without keys.
const keyless = "_unauthenticated"

// newNaive is the protocol for workers without keys: a goroutine holds each poll,
// and the first update ends them all.
func newNaive() http.Handler {
	var registered atomic.Int64
	updated := make(chan struct{})
	end := sync.OnceFunc(func() { close(updated) })
	m := http.NewServeMux()
	say := func(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, text) } // a peer that hangs up tells itself
	m.HandleFunc("POST "+wire.PathRegister, func(w http.ResponseWriter, _ *http.Request) {
		say(w, fmt.Sprint(registered.Add(1), keyless))
	})
	m.HandleFunc("GET "+wire.PathChallenge+"/{worker}", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.PathValue("worker"), keyless) {
			say(w, wire.TextInvalid)
			return
		}
		say(w, "phrase")
	})
	m.HandleFunc("POST "+wire.PathModel, func(w http.ResponseWriter, _ *http.Request) {
		_ = wire.EncodeModel(w, strings.NewReader("m"), 1, wire.VersionInt(1)) // as above
	})
	m.HandleFunc("POST "+wire.PathUpdate+"/{worker}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		end()
		say(w, wire.TextAccepted)
	})
	m.HandleFunc("POST "+wire.PathPoll, func(w http.ResponseWriter, r *http.Request) {
		var poll wire.Poll
		if err := json.NewDecoder(r.Body).Decode(&poll); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if poll.LastVersion == wire.VersionNone { // nothing yet: it is to fetch the model
			say(w, wire.TextUpdated)
			return
		}
		select {
		case <-updated:
			say(w, wire.TextUpdated)
		case <-r.Context().Done():
		}
	})
	return m
}
