package server

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]Policy{"all": All, "1": Number(1), "10": Number(10), "1%": Percent(1), "100%": Percent(100)} {
		got, err := ParsePolicy(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "0%", "101%", "%", "ten", "1.5", "All", "10 %"} {
		if p, err := ParsePolicy(text); err == nil {
			t.Errorf("%q: %v", text, p)
		}
	}
}

// TestRound plays events and says after which the round is over. An event is
// "+a" (an update of a is accepted), "<a" (assigned), ">a" (stored), "!a" (not
// stored), "-a" (a leaves), "^a" (a joins again), "T" (the time is over), "C"
// (close), "P" (publish), "Rn" (n are registered).
func TestRound(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy Policy
		events string
		over   string // o where the round is over after the event, . where it is not
	}{
		{"all", All, "+a +b +c", "..o"},
		{"all, with one that is not in the list", All, "+x +a +b +c", "...o"},
		{"all, one removed before", All, "-c +a +b", "..o"},
		{"all, one removed at last", All, "+a +b -c", "..o"},
		{"all, removed and back", All, "-c +a ^c +b +c", "....o"},
		{"all, everyone removed", All, "-a -b -c +x", "...o"},
		{"nobody, nothing", All, "-a -b -c", "..."},
		{"number", Number(2), "+x +y", ".o"},
		{"a duplicate does not count", Number(2), "+a +a +b", "..o"},
		{"percent", Percent(50), "R4 +a +b", "..o"},
		{"percent, rounded up", Percent(50), "R3 +a +b", "..o"},
		{"percent, one more comes", Percent(50), "R2 +a R3", ".o."},
		{"percent, one goes", Percent(100), "R3 +a +b R2", "...o"},
		{"percent of none needs an update", Percent(10), "R0 +a", ".o"},
		{"time", All, "T +a", ".o"},
		{"time, after the first", All, "+a T", ".o"},
		{"time without updates", All, "T", "."},
		{"what is being stored holds the round open", Number(1), "<a <b >a >b", "...o"},
		{"what could not be stored does not count", Number(1), "<a !a +b", "..o"},
		{"nor does it hold for ever", Number(1), "+a <b !b", "o.o"},
		{"two rounds", Number(1), "+a C P +a", "o..o"},
		{"late ones count for the next", Number(2), "+a +b C +c P +a", ".o...o"},
		{"late ones are enough for the next", Number(1), "+a C +b P", "o..o"},
		{"who is in the closed one waits", Number(2), "+a +b C +a P +c", ".o...."},
		{"stored across the publication", Number(1), "+a C <b P >b", "o...o"},
		{"the time is the round's own", All, "+a T C P +b", ".o..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRound(tt.policy, 1, []string{"a", "b", "c"})
			registered := 3
			assigned := map[string]int64{}
			var over strings.Builder
			for event := range strings.FieldsSeq(tt.events) {
				id := event[1:]
				switch event[0] {
				case '+':
					if n, ok := r.assign(id); ok {
						r.settle(id, n, true)
					}
				case '<':
					assigned[id], _ = r.assign(id)
				case '>', '!':
					r.settle(id, assigned[id], event[0] == '>')
				case '-':
					r.leave(id)
				case '^':
					r.join(id)
				case 'T':
					r.expire(r.number)
				case 'C':
					r.close()
				case 'P':
					r.publish()
				case 'R':
					fmt.Sscan(id, &registered)
				}
				if r.over(registered) {
					over.WriteByte('o')
				} else {
					over.WriteByte('.')
				}
			}
			if over.String() != tt.over {
				t.Errorf("%s\n%s, want\n%s", tt.events, over.String(), tt.over)
			}
		})
	}
}

func TestRoundClock(t *testing.T) {
	r := newRound(All, 1, []string{"a", "b"})
	if r.started() {
		t.Error("started without an update")
	}
	n, _ := r.assign("a")
	if r.started() {
		t.Error("started before the update is stored")
	}
	r.settle("a", n, true)
	if !r.started() {
		t.Error("not started")
	}
	r.expire(7)
	if r.over(2) {
		t.Error("another round's time ended this one")
	}
}

// TestRoundsLoseNothing runs random events: every stored update is in exactly one
// closed round, or in an open one at the end, and none is in two.
func TestRoundsLoseNothing(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := newRound([]Policy{All, Number(2), Percent(60)}[seed%3], 1, []string{"0", "1", "2", "3"})
		type update struct {
			id    string
			round int64
		}
		var storing []update
		in := map[update]int{}
		for range 300 {
			id := fmt.Sprint(rng.IntN(6))
			switch rng.IntN(6) {
			case 0, 1:
				if n, ok := r.assign(id); ok {
					storing = append(storing, update{id, n})
				}
			case 2, 3:
				if len(storing) > 0 {
					i := rng.IntN(len(storing))
					u := storing[i]
					storing = append(storing[:i], storing[i+1:]...)
					stored := rng.IntN(4) > 0
					r.settle(u.id, u.round, stored)
					if stored {
						in[u]++
					}
				}
			case 4:
				if r.over(4) {
					for _, id := range r.close() {
						u := update{id, r.number}
						if in[u] != 1 {
							t.Fatalf("seed %d: %v is in its round %d times", seed, u, in[u])
						}
						delete(in, u)
					}
				}
			case 5:
				if r.closing {
					r.publish()
				}
			}
		}
		for u := range in {
			if !r.has(u.id) || u.round < r.number {
				t.Fatalf("seed %d: %v was lost; the round is %d", seed, u, r.number)
			}
		}
		if r.pending < 0 || r.nextPending < 0 || r.pending+r.nextPending != len(storing) {
			t.Fatalf("seed %d: %d and %d pending, want %d", seed, r.pending, r.nextPending, len(storing))
		}
	}
}
