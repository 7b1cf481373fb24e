package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	gometrics "runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fltool/fltool/server/lot"
)

// DefaultMaxWorkers is how many workers may take part when Config does not say: without
// a key list, each registration makes one, for good.
const DefaultMaxWorkers = 100_000

// TextFull is what a connection is told that is refused, with status 503.
const TextFull = "The server is full - try again later."

// errFull is a worker that is one too many.
var errFull = errors.New("as many workers take part as may")

// errNoMemory is an update that there is no memory for.
var errNoMemory = errors.New("there is as much memory in use as may be")

// So many connections at a time are left to their clients for a moment, so that they
// can read why they were refused.
const awayAtOnce = 64

// fullness says whether there is room for new work. What has begun goes on: held polls
// stay, and workers' connections are served.
type fullness struct {
	connections int
	memory      int64
	tell        rate.Sometimes // in the log

	mu      sync.Mutex
	tooMany int // the number of the first descriptor that a connection may not have
	used    int64
	looked  time.Time // when used was
	away    int       // connections that were refused and may read why
}

func newFullness(connections int, memory int64) *fullness {
	return &fullness{connections: connections, memory: memory, tell: rate.Sometimes{Interval: time.Minute}}
}

// opens looks, before the first connection, at the descriptors that there are besides
// connections: the kernel gives the lowest number that is free, so that of the one
// connection too many is known.
func (f *fullness) opens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.connections == 0 || f.tooMany > 0 {
		return
	}
	f.tooMany = f.connections
	others, _ := os.ReadDir("/proc/self/fd") // where it can't be read, a few too few may come
	var numbers []int
	for _, o := range others {
		if n, err := strconv.Atoi(o.Name()); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if n < f.tooMany {
			f.tooMany++
		}
	}
	f.tooMany-- // the directory's
}

// connection says whether one of that descriptor is too many.
func (f *fullness) connection(fd int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connections > 0 && fd >= f.tooMany
}

// ofMemory says whether there is as much as may be.
func (f *fullness) ofMemory() bool {
	if f.memory == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) > 10*time.Millisecond {
		f.looked, f.used = now, memoryUsed()
	}
	return f.used > f.memory
}

// memoryUsed is what the process has of the system's memory, in bytes, as the limit of
// runtime/debug counts it.
func memoryUsed() int64 {
	all := []gometrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	gometrics.Read(all)
	return int64(all[0].Value.Uint64() - all[1].Value.Uint64())
}

// turnAway refuses a new connection.
func (s *Server) turnAway(c net.Conn, reason string) {
	s.metrics.refused("connection", reason)
	s.full.tell.Do(func() { s.log.Warn("new connections are refused", "full", reason, "from", c.RemoteAddr()) })
	if _, plain := c.(*lot.Conn); !plain {
		cut(c) // nothing was said that it could read
		return
	}
	_, _ = writeNow(c, turnedAway) // it may be gone
	s.full.mu.Lock()
	few := s.full.away < awayAtOnce
	if few {
		s.full.away++
		time.AfterFunc(lingerTime, func() {
			s.full.mu.Lock()
			defer s.full.mu.Unlock()
			s.full.away--
		})
	}
	s.full.mu.Unlock()
	if few {
		s.polls.linger(c)
	} else {
		cut(c)
	}
}

var turnedAway = unasked(http.StatusServiceUnavailable, TextFull, "Retry-After: 1")

// unasked is an answer before there was a whole question.
func unasked(status int, text string, headers ...string) []byte {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), typeText[0], len(text))
	for _, h := range append(headers, "Connection: close") {
		head += h + "\r\n"
	}
	return []byte(head + "\r\n" + text)
}
