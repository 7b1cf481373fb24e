package render

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// phaseColours are those of what workers do, which the parts of a round share.
var phaseColours = map[string]plot.Colour{
	reports.PhaseHeld: plot.Blue, reports.PhaseDownloading: plot.Teal, reports.PhaseThinking: plot.Amber,
	reports.PhaseUploading: plot.Orange, reports.PhaseJoining: plot.Purple, reports.PhaseRetrying: plot.Pink,
	reports.PhaseDone: plot.Grey, reports.PhaseLost: plot.Red,
}

// runTime is the axis of a run's time.
var runTime = plot.Axis{Label: "seconds since the start", Say: seconds}

// least is how many ticks a plot over the time of a run has.
const least = 3

// columns are the report's ticks, those that follow each other put together until there
// are so many at most.
func columns(r reports.Report, most int) ([]reports.Tick, float64) {
	step := max(r.Step, 0)
	if step == 0 {
		step = 1
	}
	ticks := slices.DeleteFunc(slices.Clone(r.Timeline), func(t reports.Tick) bool { return !(t.T >= 0 && t.T < absurd) })
	for len(ticks) > most && step < absurd {
		ticks = reports.Coarsen(ticks, step, 2*step)
		step *= 2
	}
	return ticks, step
}

// workersOverTime is what the workers did, one kind upon the other.
func workersOverTime(r reports.Report) plot.Plot {
	p := plot.Plot{
		Title: "What the workers did", Wide: true, X: runTime, Y: plot.Axis{Label: "workers", Whole: true}, Rules: append(actsOf(r), stagesOf(r)...),
	}
	ticks, _ := columns(r, reports.MaxTicks)
	if len(ticks) < least {
		return plot.Plot{}
	}
	told := slices.ContainsFunc(ticks, func(t reports.Tick) bool { return len(t.Workers) > 0 })
	for _, phase := range reports.Phases {
		s := plot.Series{Name: phase, Colour: phaseColours[phase], Points: []plot.Point{{}}}
		most := 0
		for _, t := range ticks {
			n := t.Workers[phase]
			if !told && phase == reports.PhaseHeld { // of when reports knew no more
				n = t.Held
			}
			most = max(most, n)
			s.Points = append(s.Points, plot.Point{X: t.T, Y: float64(n)})
		}
		if most > 0 {
			p.Bands = append(p.Bands, s)
		}
	}
	if r.Drill != nil {
		p.Lines = append(p.Lines, dips(ticks)...)
	}
	if len(r.Stages) > 0 {
		p.Lines = append(p.Lines, askedOverTime(ticks))
	} else if r.Drill == nil && r.Demand.Workers > 0 && len(p.Bands) > 0 { // its acts have names there
		p.Rules = append(p.Rules, plot.Rule{Text: count(r.Demand.Workers) + " asked for", At: float64(r.Demand.Workers)})
	}
	if len(p.Bands) == 1 && !told {
		p.Title = "Polls held over time"
	}
	return p
}

// dips are the fewest polls held between two ticks, where these were fewer than at both.
func dips(ticks []reports.Tick) []plot.Series {
	s := plot.Series{Name: "fewest held", Colour: plot.Red}
	hidden := false
	for i, t := range ticks {
		lowest := t.Held - t.Dip
		s.Points = append(s.Points, plot.Point{X: t.T, Y: float64(lowest)})
		hidden = hidden || i > 0 && lowest < min(t.Held, ticks[i-1].Held)
	}
	if !hidden {
		return nil
	}
	return []plot.Series{s}
}

// The pictures of rounds: up to so many have a row each, with its name; of more than
// roundBars the slowest of each few is shown.
const (
	roundRows = 12
	roundBars = 120
)

// part is one of those that a round's time is made of.
type part struct {
	name    string
	colour  plot.Colour
	seconds func(reports.Round) float64
}

var roundParts = []part{
	{"fan-out: until the last worker was notified", plot.Blue, func(r reports.Round) float64 { return r.Passed.Notified - r.Passed.Published }},
	{"download: until the last had the model", plot.Teal, func(r reports.Round) float64 { return r.Passed.Downloaded - r.Passed.Notified }},
	{"think: until the last sent its update", plot.Amber, func(r reports.Round) float64 { return r.Passed.Thought - r.Passed.Downloaded }},
	{"upload: until the last was accepted", plot.Orange, func(r reports.Round) float64 { return r.Passed.Accepted - r.Passed.Thought }},
}

// roundTimes is a bar a round, of the parts that it went by in.
func roundTimes(r reports.Report) plot.Plot {
	rounds, every := slowestOf(r.Rounds, roundBars)
	parts := roundParts
	if slices.ContainsFunc(rounds, func(x reports.Round) bool { return x.Passed == nil }) {
		parts = []part{{"", plot.Blue, func(r reports.Round) float64 { return r.Seconds }}}
	}
	unit, scale := timeUnit(slowestRound(rounds))
	p := plot.Plot{Title: "Time of each round"}
	if every > 1 {
		p.Title = fmt.Sprintf("Time of the slowest of each %d rounds", every)
	}
	rows := len(rounds) <= roundRows
	for _, part := range parts {
		b := plot.Blocks{Name: part.name, Colour: part.colour}
		short, _, _ := strings.Cut(part.name, ":")
		for i, x := range rounds {
			at := 0.
			for _, before := range parts {
				if before.name == part.name {
					break
				}
				at += before.seconds(x)
			}
			took := part.seconds(x)
			if !(took > 0 && at >= 0 && at+took < absurd) {
				continue
			}
			c := plot.Cell{X0: float64(i) + .1, X1: float64(i) + .9, Y0: at * scale, Y1: (at + took) * scale, Title: fmt.Sprintf("round %d\n%s", x.Number, strings.TrimPrefix(short+": "+seconds(took), ": "))}
			if rows {
				row := float64(len(rounds) - i)
				c.X0, c.X1, c.Y0, c.Y1 = c.Y0, c.Y1, row-.85, row-.15
			}
			b.Cells = append(b.Cells, c)
		}
		if len(b.Cells) > 0 {
			p.Blocks = append(p.Blocks, b)
		}
	}
	if len(p.Blocks) == 0 {
		return plot.Plot{}
	}
	long := slowestRound(rounds) * scale
	times := plot.Axis{Label: unit, Max: long * 1.05}
	for _, rule := range limits(r.Thresholds) {
		rule.At *= scale
		rule.Upright, rule.Beyond = rows, rule.At > far*long
		if !rule.Beyond {
			times.Max = max(times.Max, rule.At*1.05)
		}
		p.Rules = append(p.Rules, rule)
	}
	if rows {
		p.Rows, p.X, p.Y = len(rounds), times, plot.Axis{Max: float64(len(rounds))}
		for i, x := range rounds {
			p.Y.Ticks = append(p.Y.Ticks, plot.Tick{At: float64(len(rounds)-i) - .5, Text: fmt.Sprintf("round %d", x.Number)})
		}
		return p
	}
	p.Y, p.X = times, plot.Axis{Label: "round", Max: float64(len(rounds)), Ticks: []plot.Tick{}}
	for i := 0; i < len(rounds); i += max(1, (len(rounds)+7)/8) {
		p.X.Ticks = append(p.X.Ticks, plot.Tick{At: float64(i) + .5, Text: count(rounds[i].Number)})
	}
	return p
}

// slowestOf are the rounds, or the slowest of each few where there are more than so many.
func slowestOf(all []reports.Round, most int) (rounds []reports.Round, every int) {
	every = max(1, (len(all)+most-1)/most)
	for few := range slices.Chunk(all, every) {
		rounds = append(rounds, slices.MaxFunc(few, func(a, b reports.Round) int { return int(math.Copysign(1, a.Seconds-b.Seconds)) }))
	}
	return rounds, every
}

// errorsOverTime is when requests failed, by class.
func errorsOverTime(r reports.Report) plot.Plot {
	ticks, step := columns(r, heatColumns)
	if len(r.Errors) == 0 || len(ticks) < least {
		return plot.Plot{}
	}
	p := plot.Plot{
		Title: "When requests failed", Wide: true, X: runTime, Y: plot.Axis{Label: "errors in each " + seconds(step), Whole: true}, Rules: actsOf(r),
	}
	var order []string
	for _, e := range r.Errors {
		order = append(order, e.Class)
	}
	told := slices.ContainsFunc(ticks, func(t reports.Tick) bool { return len(t.Classes) > 0 })
	if !told {
		order = []string{"all classes"}
	}
	for _, class := range order[:min(len(order), plot.Colours)] {
		s := plot.Series{Name: reports.Clean(class), Points: []plot.Point{{}}}
		sum := 0
		for _, t := range ticks {
			n := t.Classes[class]
			if !told {
				n = t.Errors
			}
			sum += n
			s.Points = append(s.Points, plot.Point{X: t.T, Y: float64(n)})
		}
		if sum > 0 {
			p.Bands = append(p.Bands, s)
		}
	}
	return p
}

// actsOf are the commands of a drill, as lines across the time of the run.
func actsOf(r reports.Report) []plot.Rule {
	if r.Drill == nil {
		return nil
	}
	var rules []plot.Rule
	for _, a := range r.Drill.Acts {
		name := []rune(reports.Clean(a.Command))
		if len(name) > longestMark {
			name = append(name[:longestMark-1], '…')
		}
		rules = append(rules, plot.Rule{Text: string(name), At: a.At, Upright: true})
	}
	return rules
}

// longestMark is how many characters of a command stand in a plot.
const longestMark = 40
