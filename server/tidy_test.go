package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentOf(t *testing.T) {
	for mb, want := range map[uint64]int{0: 50, 40: 50, 56: 50, 112: 25, 187: 15, 10_000: 15} {
		if got := percentOf(mb << 20); got != want {
			t.Errorf("of %d MB: %d %%, want %d", mb, got, want)
		}
	}
}

// TestTidiesUp: soon while more and more arrive, and once no more come that had been held
// before, but not never where they come for ever.
func TestTidiesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tidies := newTidy()
		defer tidies.stop()
		due := func() bool {
			synctest.Wait()
			tidies.mu.Lock()
			defer tidies.mu.Unlock()
			return tidies.count >= tidyEvery
		}
		arrive := func(from int) {
			for held := from; held < from+tidyEvery; held++ {
				tidies.arrived(held + 1)
			}
			time.Sleep(tidyAfter / 2)
		}
		for held := range 2 {
			arrive(held * tidyEvery)
		}
		if due() {
			t.Error("more and more arrive")
		}
		for range 5 {
			arrive(0)
		}
		if time.Sleep(tidyAfter / 4); !due() {
			t.Error("polls still come again")
		}
		if time.Sleep(tidyAfter / 4); due() {
			t.Error("none has come for a while")
		}
		for began := time.Now(); time.Since(began) < tidyLatest; {
			arrive(0)
			if !due() {
				return
			}
		}
		t.Error("they come for ever")
	})
}
