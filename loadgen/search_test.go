package loadgen

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fltool/fltool/reports"
)

// a server that holds what it is told to: the verdict by level and by how often
// that level was tried.
type response func(workers, time int) reports.Verdict

func upTo(capacity int) response {
	return func(n, _ int) reports.Verdict {
		if n > capacity {
			return reports.VerdictFail
		}
		return reports.VerdictPass
	}
}

func find(t *testing.T, s Search, respond response) (Found, []int) {
	t.Helper()
	times := map[int]int{}
	var order []int
	f, err := s.Find(t.Context(), func(_ context.Context, n int) (Tried, error) {
		times[n]++
		order = append(order, n)
		if len(order) > 200 {
			t.Fatalf("%+v goes on for ever: %v", s, order)
		}
		r := reports.Report{Verdict: respond(n, times[n])}
		return Tried{Result: LevelResultOf(r), Report: r}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, order
}

func TestSearch(t *testing.T) {
	refusedFrom := func(limit int, below response) response {
		return func(n, time int) reports.Verdict {
			if n >= limit {
				return reports.VerdictRefused
			}
			return below(n, time)
		}
	}
	for _, c := range []struct {
		name    string
		search  Search
		respond response
		order   []int
		workers int
		atLeast bool
		failed  int
		note    string
	}{
		{
			name: "doubling, then halving", search: Search{From: 100, Within: 10}, respond: upTo(255),
			order: []int{100, 200, 400, 300, 250, 275, 262, 256}, workers: 250, failed: 256,
		},
		{
			name: "the answer is confirmed", search: Search{From: 100, Within: 50, Confirm: 2}, respond: upTo(255),
			order: []int{100, 200, 400, 300, 250, 250, 250}, workers: 250, failed: 300,
		},
		{
			name: "steps end at the first failure", search: Search{From: 100, To: 1000, Step: 100, Confirm: 1}, respond: upTo(250),
			order: []int{100, 200, 300, 200}, workers: 200, failed: 300,
		},
		{
			name: "the end holds: at least that", search: Search{From: 100, To: 300, Confirm: 1}, respond: upTo(1000),
			order: []int{100, 200, 300, 300}, workers: 300, atLeast: true,
		},
		{
			name: "steps reach an end that is no multiple", search: Search{From: 100, To: 250, Step: 100}, respond: upTo(1000),
			order: []int{100, 200, 250}, workers: 250, atLeast: true,
		},
		{
			name: "one level", search: Search{From: 7, To: 7}, respond: upTo(7),
			order: []int{7}, workers: 7, atLeast: true,
		},
		{
			name: "less than the start", search: Search{From: 100, Within: 1}, respond: upTo(3),
			order: []int{100, 50, 25, 12, 6, 3, 4}, workers: 3, failed: 4,
		},
		{
			name: "nothing holds", search: Search{From: 4}, respond: upTo(0),
			order: []int{4, 2, 1}, failed: 1,
		},
		{
			name: "nothing holds at the first step", search: Search{From: 4, Step: 1}, respond: upTo(0),
			order: []int{4}, failed: 4,
		},
		{
			name: "the generator is the limit", search: Search{From: 100, Within: 50}, respond: refusedFrom(400, upTo(1000)),
			order: []int{100, 200, 400, 300, 350}, workers: 350, atLeast: true, failed: 400,
		},
		{
			name: "the server fails below the generator's limit", search: Search{From: 100, Within: 50}, respond: refusedFrom(400, upTo(320)),
			order: []int{100, 200, 400, 300, 350}, workers: 300, failed: 350,
		},
		{
			name: "a warning holds", search: Search{From: 1, To: 2}, respond: func(int, int) reports.Verdict { return reports.VerdictWarn },
			order: []int{1, 2}, workers: 2, atLeast: true,
		},
		{
			name: "held once by luck", search: Search{From: 100, Within: 100, Confirm: 1},
			respond: func(n, time int) reports.Verdict {
				if n >= 400 || n == 200 && time > 1 {
					return reports.VerdictFail
				}
				return reports.VerdictPass
			},
			// 300 held as well, but 200 did not the second time: of 100 and 200 the lower is sure.
			order: []int{100, 200, 400, 300, 300}, workers: 300, failed: 400,
		},
		{
			name: "the confirmation fails: a lower answer", search: Search{From: 100, Step: 100, Confirm: 1},
			respond: func(n, time int) reports.Verdict {
				if n >= 300 || n == 200 && time > 1 {
					return reports.VerdictFail
				}
				return reports.VerdictPass
			},
			order: []int{100, 200, 300, 200, 100}, workers: 100, failed: 200, note: "200 workers held once and not another time",
		},
		{
			name: "not monotone", search: Search{From: 100, Within: 50, Confirm: 1},
			respond: func(n, time int) reports.Verdict { // 400 holds at first, its confirmation does not, nor does 300
				if n == 300 || n > 400 || n == 400 && time > 1 {
					return reports.VerdictFail
				}
				return reports.VerdictPass
			},
			order: []int{100, 200, 400, 800, 600, 500, 450, 400, 300, 250, 250}, workers: 250, failed: 300,
			note: "400 workers held, and 300 did not",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, order := find(t, c.search, c.respond)
			if d := cmp.Diff(c.order, order); d != "" {
				t.Errorf("levels (-want +got):\n%s", d)
			}
			if f.Workers != c.workers || f.AtLeast != c.atLeast || f.Failed != c.failed {
				t.Errorf("found %d, at least %t, failed %d; want %d, %t, %d", f.Workers, f.AtLeast, f.Failed, c.workers, c.atLeast, c.failed)
			}
			if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
		})
	}
}

// TestSearchPlaces asks servers that answer so many at once and not one byte to more.
func TestSearchPlaces(t *testing.T) {
	const places = 300
	full := func(workers int) LevelResult { // of a level that the server had places for
		if workers == places {
			return LevelSpoiled
		}
		return LevelHeld
	}
	held := func(int) LevelResult { return LevelHeld }
	for _, c := range []struct {
		name    string
		search  Search
		at      func(workers int) LevelResult
		order   []int
		workers int
		atLeast bool
		failed  int
		note    string
	}{
		{"doubling", Search{From: 100, Confirm: 1}, held, []int{100, 200, 400, 300}, 300, false, 400, ""},
		{"confirmed twice", Search{From: 100, Confirm: 2}, held, []int{100, 200, 400, 300, 300}, 300, false, 400, ""},
		{"steps", Search{From: 200, Step: 200, Confirm: 1}, held, []int{200, 400, 300}, 300, false, 400, ""},
		{"one level", Search{From: 400, To: 400, Confirm: 1}, held, []int{400, 300}, 300, false, 400, ""},
		{"just as many", Search{From: 300, To: 300, Confirm: 1}, held, []int{300, 300}, 300, true, 0, ""},
		{"the full server keeps them", Search{From: 100, Confirm: 1}, full, []int{100, 200, 400, 300}, 300, false, 400, "300 workers were held at the level of 400, and no more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var order []int
			f, err := c.search.Find(t.Context(), func(_ context.Context, n int) (Tried, error) {
				order = append(order, n)
				if n > places {
					return Tried{Result: LevelFailed, Report: reports.Report{Held: &reports.Held{Places: places}}}, nil
				}
				return Tried{Result: c.at(n)}, nil
			})
			if d := cmp.Diff(c.order, order); d != "" || err != nil {
				t.Errorf("%v, levels (-want +got):\n%s", err, d)
			}
			if f.Workers != c.workers || f.AtLeast != c.atLeast || f.Failed != c.failed || f.Cut || !strings.Contains(strings.Join(f.Notes, "\n"), c.note) {
				t.Errorf("found %d, at least %t, failed %d, cut %t; notes %q", f.Workers, f.AtLeast, f.Failed, f.Cut, f.Notes)
			}
			if r := f.Report(0); r.Verdict != reports.VerdictPass {
				t.Errorf("verdict %s %q", r.Verdict, r.Reasons)
			}
		})
	}
}

// TestSearchKeeps has the answer's confirmation end in every way but a failure: what
// held is not thrown away.
func TestSearchKeeps(t *testing.T) {
	for result, want := range map[LevelResult]struct {
		verdict reports.Verdict
		note    string
	}{
		LevelUnknown: {reports.VerdictPass, "200 workers held, and could not be tried again: too busy"},
		LevelSpoiled: {reports.VerdictRefused, "the search ended at 200 workers: too busy"},
		LevelCut:     {reports.VerdictRefused, "interrupted while the level of 200 workers was tried again: it held once"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		times := 0
		f, err := Search{From: 100, To: 200, Confirm: 1}.Find(ctx, func(_ context.Context, n int) (Tried, error) {
			if n == 200 {
				times++
			}
			if times < 2 {
				return Tried{}, nil
			}
			if result == LevelCut {
				cancel()
			}
			return Tried{Result: result, Report: reports.Report{Reasons: []string{"too busy"}}}, nil
		})
		cancel()
		if r := f.Report(0); err != nil || f.Workers != 200 || !f.AtLeast || r.Verdict != want.verdict || len(f.Notes) != 1 || f.Notes[0] != want.note {
			t.Errorf("%d: %v, %d, at least %t, %s, notes %q", result, err, f.Workers, f.AtLeast, r.Verdict, f.Notes)
		}
	}
}

// TestSearchNoisy asks servers that fail at random, the more the higher the
// level: whatever they answer, every search ends, and what it says held in all of
// its trials, with nothing below it that did not.
func TestSearchNoisy(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := Search{From: 1 + rng.IntN(200), Step: rng.IntN(2) * (20 + rng.IntN(50)), Confirm: rng.IntN(3)}
		s.To = rng.IntN(2) * (s.From + rng.IntN(2000))
		f, _ := find(t, s, func(n, _ int) reports.Verdict {
			switch x := rng.Float64(); {
			case x < .03:
				return reports.VerdictRefused
			case x < float64(n)/800:
				return reports.VerdictFail
			}
			return reports.VerdictPass
		})
		held := 0 // or tried, and not to be told
		for _, tried := range f.Tried {
			if tried.Workers <= f.Workers && tried.Result == LevelFailed {
				t.Errorf("seed %d: %d did not hold, and the answer is %d", seed, tried.Workers, f.Workers)
			}
			if tried.Workers == f.Workers && tried.Result != LevelFailed {
				held++
			}
		}
		if f.Workers > 0 && held < 1+s.Confirm {
			t.Errorf("seed %d: the answer %d held %d times, %d confirmations asked for", seed, f.Workers, held, s.Confirm)
		}
		if exact := slices.ContainsFunc(f.Tried, func(t Tried) bool { return t.Workers == f.Failed && t.Result == LevelFailed }); f.AtLeast == exact {
			t.Errorf("seed %d: at least %t, and the level above failed: %t", seed, f.AtLeast, exact)
		}
	}
}

func TestSearchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, err := Search{From: 1}.Find(ctx, func(_ context.Context, n int) (Tried, error) {
		if n == 4 {
			cancel()
			return Tried{Result: LevelFailed, Report: reports.Report{Verdict: reports.VerdictFail}}, nil
		}
		return Tried{Report: reports.Report{Verdict: reports.VerdictPass}}, nil
	})
	if err != nil || f.Workers != 2 || !f.AtLeast || len(f.Notes) != 1 {
		t.Errorf("interrupted: %+v, %v", f, err)
	}
	broken := errors.New("no disk")
	f, err = Search{From: 1}.Find(t.Context(), func(_ context.Context, n int) (Tried, error) {
		if n == 4 {
			return Tried{}, broken
		}
		return Tried{}, nil
	})
	if !errors.Is(err, broken) || f.Workers != 2 || len(f.Tried) != 2 {
		t.Errorf("broken: %+v, %v", f, err)
	}
	for _, s := range []Search{{}, {From: 2, To: 1}, {From: 1, Step: -1}, {From: 1, Confirm: -1}, {From: 1, Within: -1}} {
		if _, err := s.Find(t.Context(), nil); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}
