package render

import (
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"github.com/fltool/fltool/reports"
)

// aLive is a run in its second round, which has met errors.
func aLive() Live {
	safe, best := 9990, 20000
	l := Live{
		Now: reports.Progress{
			Seconds: 12.3, Left: 17.9, Stage: reports.StageRounds, Workers: 1000,
			Doing: map[string]int{reports.PhaseHeld: 900, reports.PhaseThinking: 60, reports.PhaseUploading: 38, reports.PhaseLost: 2},
			Held:  900, NeverHeld: 1, Cut: 3, Lost: 2, Round: 1, Rounds: 3, Sent: 9000, Done: 8000, Errors: 7,
			Uses: []reports.Use{
				{Process: "server", RSSBytes: 48 << 20, Cores: .31, FDs: 1013, FDLimit: 65536},
				{Process: "generator", RSSBytes: 24 << 20, Cores: 1.25, FDs: -1},
			},
		},
		SoFar: reports.Report{
			Rounds: []reports.Round{{Number: 1, Seconds: .309, FanoutSeconds: .0649}, {Number: 2, Open: true}},
			Series: []reports.Series{
				{Name: "poll", Count: 5000, P50: 3},
				{Name: "wakeup", Count: 1980, P50: .002, P99: .05, Max: .0649},
				{Name: "update", Count: 1000, P50: .012, P99: .15, Max: .34},
				{Name: "lag", Count: 8000, P50: .0001, P99: .002, Max: .01},
			},
			Errors: []reports.ErrorClass{{Class: "reset", Count: 2}, {Class: "timeout", Count: 5}},
		},
		Limit: &reports.Row{Limit: "app/nofile", Workers: &safe, WorkersHard: &best},
	}
	for i := range 200 {
		l.SoFar.Timeline = append(l.SoFar.Timeline, reports.Tick{Held: min(i*10, 1000) * min(1, max(0, 150-i)+i%9)})
	}
	return l
}

// TestLive shows a run in terminals of several sizes: no line is wider, there are no more
// lines than rows, and the first ones stay.
func TestLive(t *testing.T) {
	ending, begins := aLive(), Live{}
	ending.Ending, ending.Title, ending.Limit = true, "level", nil
	for _, c := range []struct {
		name          string
		l             Live
		columns, rows int
	}{
		{"run-60", aLive(), 60, 24}, {"run-80", aLive(), 80, 24}, {"run-200", aLive(), 200, 50}, {"run-low", aLive(), 80, 5},
		{"ending", ending, 80, 24}, {"begins", begins, 80, 24}, {"none", aLive(), 0, 0},
	} {
		for _, color := range []bool{false, true} {
			text := Style{Color: color}.Live(c.l, c.columns, c.rows)
			if !color {
				golden(t, "live-"+c.name, []byte(text+"\n"))
			}
			lines := strings.Split(text, "\n")
			if len(lines) > max(1, c.rows) {
				t.Errorf("%s: %d lines", c.name, len(lines))
			}
			for _, line := range lines {
				if n := (displaywidth.Options{ControlSequences: true}).String(line); n > c.columns {
					t.Errorf("%s: %d columns of %d: %q", c.name, n, c.columns, line)
				}
			}
		}
	}
}

// What a server says can't steer the terminal.
func TestLiveIsClean(t *testing.T) {
	l := aLive()
	l.SoFar.Errors[0].Class = "a\x1b[2Jb"
	if text := (Style{}).Live(l, 80, 24); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}
