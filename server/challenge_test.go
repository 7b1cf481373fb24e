package server

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestChallengeLife(t *testing.T) {
	start := time.Now()
	c := newChallenges(start)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	issued := at(90 * time.Second)
	for _, tt := range []struct {
		name  string
		after time.Duration
		want  bool
	}{
		{"at once", 0, true},
		{"later", challengeLife - time.Second, true},
		{"too late", challengeLife, false},
		{"much too late", 10 * challengeLife, false},
	} {
		phrase := []byte(c.issue("w", issued))
		if got := c.use("w", phrase, issued.Add(tt.after)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if c.use("w", phrase, issued.Add(tt.after)) {
			t.Errorf("%s: good twice", tt.name)
		}
	}
}

// TestChallengeGenerations uses phrases across the turns of generations: each is
// good once while it lives, and what was used is forgotten in time.
func TestChallengeGenerations(t *testing.T) {
	start := time.Now()
	c := newChallenges(start)
	var old []byte
	var last time.Time
	for i := range 50 {
		at := start.Add(time.Duration(i) * challengeLife / 3)
		phrase := []byte(c.issue("w", at))
		if old != nil {
			if !c.use("w", old, at) {
				t.Fatalf("step %d: a phrase issued at %v was refused at %v", i, last.Sub(start), at.Sub(start))
			}
			if c.use("w", old, at.Add(time.Second)) {
				t.Fatalf("step %d: good twice", i)
			}
		}
		old, last = phrase, at
	}
	if n := len(c.now.used) + len(c.old.used); n > 4 {
		t.Errorf("%d words are kept of what was used", n)
	}
}

func TestChallengeForged(t *testing.T) {
	now := time.Now()
	c := newChallenges(now)
	good := c.issue("w", now)
	other := newChallenges(now).issue("w", now)
	flipped := []byte(good)
	flipped[11] ^= 1
	for name, phrase := range map[string]string{
		"of another process": other,
		"changed":            string(flipped),
		"short":              good[:54],
		"long":               good + "00",
		"empty":              "",
		"not hex":            strings.Repeat("z", 56),
	} {
		if c.use("w", []byte(phrase), now) {
			t.Errorf("%s: accepted", name)
		}
	}
	if c.use("v", []byte(good), now) {
		t.Error("another's: accepted")
	}
	for range 2 {
		if !c.open("w", []byte(good), now) || c.open("v", []byte(good), now) {
			t.Error("to look at a challenge spent it, or it is open to another")
		}
	}
	if !c.use("w", []byte(good), now) {
		t.Error("the good one was refused")
	}
	if c.open("w", []byte(good), now) {
		t.Error("one that was used is open")
	}
}

func TestChallengeUsedOnce(t *testing.T) {
	now := time.Now()
	c := newChallenges(now)
	phrase := []byte(c.issue("w", now))
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if c.use("w", phrase, now) {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("used %d times", good.Load())
	}
}

func FuzzChallenge(f *testing.F) {
	now := time.Now()
	c := newChallenges(now)
	f.Add("w", []byte(c.issue("w", now)))
	f.Add("", []byte(""))
	f.Add("w", []byte(strings.Repeat("0", 56)))
	good := c.issue("somebody", now)
	f.Fuzz(func(t *testing.T, worker string, phrase []byte) {
		if worker == "somebody" && string(phrase) == good {
			t.Skip()
		}
		// Upper-case hex of a good phrase is one too; another's never is.
		if c.use("somebody", phrase, now) && !strings.EqualFold(string(phrase), good) {
			t.Fatalf("%q is taken for a challenge", phrase)
		}
		c.use(worker, phrase, now)
	})
}
