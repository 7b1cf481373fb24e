package server

import (
	"runtime"
	"slices"
	"sync"
)

const (
	// So many updates at a time keep a CPU busy that inflates them.
	seatsPerCPU = 8
	// A body of so many bytes needs no seat: it is read before others would have their
	// turn.
	freeOfSeats = 64 << 10
)

// seats is the room in which updates are read. Each that is read has buffers, and a
// window to inflate in, some 60 KB; one that has not begun waits where it is cheap, in
// the buffers of its socket. So an update begins once fewer than most others have
// something to do; those do not count that wait for their clients, lest slow clients
// keep others out. It is first come, first served: who has to wait is late by what the
// CPUs are, and not by whom they share the room with.
type seats struct {
	most int

	mu   sync.Mutex
	busy int
	line []chan struct{} // of those that wait; closed when it is their turn
}

func newSeats() *seats { return &seats{most: seatsPerCPU * runtime.GOMAXPROCS(0)} }

// ask gives what is closed once an update may begin. leave must follow, whether it is
// closed or not.
func (s *seats) ask() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	turn := make(chan struct{})
	s.line = append(s.line, turn)
	s.admit()
	return turn
}

// leave ends what began with ask.
func (s *seats) leave(turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.line, turn); i >= 0 {
		s.line = slices.Delete(s.line, i, i+1)
		return
	}
	s.busy--
	s.admit()
}

// pause and resume stand around waiting for a client.
func (s *seats) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	s.admit()
}

func (s *seats) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
}

// admit lets those begin that there is room for; the lock is held.
func (s *seats) admit() {
	for s.busy < s.most && len(s.line) > 0 {
		close(s.line[0])
		s.line = s.line[1:]
		s.busy++
	}
}
