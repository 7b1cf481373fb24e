package server

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestSeats: first come, first served; who waits for its client keeps nobody out, and
// who gives up leaves no gap.
func TestSeats(t *testing.T) {
	s := &seats{most: 2}
	var turns []chan struct{}
	for range 6 {
		turns = append(turns, s.ask())
	}
	want := func(begun ...bool) {
		t.Helper()
		for i, turn := range turns {
			select {
			case <-turn:
				if !begun[i] {
					t.Errorf("%d has begun", i)
				}
			default:
				if begun[i] {
					t.Errorf("%d has not begun", i)
				}
			}
		}
	}
	want(true, true, false, false, false, false)
	s.leave(turns[2])
	s.pause() // the first waits for its client
	want(true, true, false, true, false, false)
	s.resume()
	s.leave(turns[1])
	want(true, true, false, true, false, false) // the first is back
	s.leave(turns[3])
	want(true, true, false, true, true, false)
	for _, i := range []int{0, 4, 5} {
		s.leave(turns[i])
	}
	if s.busy != 0 || len(s.line) != 0 {
		t.Errorf("%d are busy, %d wait", s.busy, len(s.line))
	}
}

// TestSlowUploadsKeepNobodyOut: more of them than there are seats, and a fast one
// comes through meanwhile; those that end leave their seats.
func TestSlowUploadsKeepNobodyOut(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, s *Server, cs []*client) {
		s.uploads.seats.most = 1
		first := sendSlowly(t, cs[0], 20*crowdedRate, crowdedRate)
		second := sendSlowly(t, cs[1], 20*crowdedRate, crowdedRate)
		time.Sleep(time.Second / 2)
		fast := sendSlowly(t, cs[2], 20*crowdedRate, 0)
		fast.want(t, http.StatusOK, cs[2])
		if fast.took > time.Second {
			t.Errorf("the fast one took %v", fast.took)
		}
		first.want(t, http.StatusOK, cs[0])
		second.want(t, http.StatusOK, cs[1])
		synctest.Wait()
		if x := s.uploads.seats; x.busy != 0 || len(x.line) != 0 {
			t.Errorf("%d are busy, %d wait", x.busy, len(x.line))
		}
	})
}
