package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"github.com/fltool/fltool/reports"
)

// Live is what the live view of a run shows.
type Live struct {
	Title  string // what is run, in a word or two; "": a run
	Now    reports.Progress
	SoFar  reports.Report
	Limit  *reports.Row // of the ledger, that which binds first; nil: unknown
	Ending bool         // the run was told to end
}

// liveLine is a line of the view. Of those that have no room the ones of the highest rank
// are left out.
type liveLine struct {
	rank        int
	label, text string
	color       string // of the text; "" is the terminal's own
}

// liveLabel is the columns that the labels of the view have.
const liveLabel = 11

// Live shows a run while it lasts, in no more than so many columns and rows; "" where
// there is no room for any.
func (o Style) Live(l Live, columns, rows int) string {
	if columns < 2*liveLabel {
		return ""
	}
	lines := slices.Concat(l.head(columns), l.rounds(), l.steps(), l.errors(), l.uses(), l.limit(), l.foot())
	for len(lines) > max(rows, 1) {
		least := slices.MaxFunc(lines, func(a, b liveLine) int { return a.rank - b.rank })
		lines = slices.DeleteFunc(lines, func(x liveLine) bool { return x.rank == least.rank })
	}
	var b strings.Builder
	for _, x := range lines {
		label, text := pad(x.label, liveLabel), cut(reports.Clean(x.text), columns-liveLabel)
		if x.color != "" {
			text = o.paint(text, x.color)
		}
		b.WriteString(strings.TrimRight(o.paint(label, bold)+text, " ") + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cut is what a text has room for, in whole words: a part of a number would be another.
func cut(s string, columns int) string {
	if displaywidth.String(s) <= columns {
		return s
	}
	s = displaywidth.TruncateString(s, max(columns-2, 0), "")
	return s[:max(strings.LastIndex(s, " "), 0)] + " …"
}

func (l Live) head(columns int) []liveLine {
	n := l.Now
	first := liveLine{0, cmp.Or(l.Title, "run"), "begins", ""}
	if n.Workers > 0 || n.Load != "" { // a stage may ask for nobody
		first.text = fmt.Sprintf("%s, %s, %s in", cmp.Or(n.Load, Plural(n.Workers, "worker")), n.Stage, clock(n.Seconds))
		if n.Left > 0 {
			first.text += fmt.Sprintf(", about %s left", clock(n.Left))
		}
	}
	if l.Ending {
		first.text, first.color = first.text+", ending", yellow
	}
	if n.Workers == 0 && n.Load == "" {
		return []liveLine{first}
	}
	held := liveLine{1, "held", fmt.Sprintf("%d of %d  ", n.Held, n.Workers), ""}
	most := n.Workers
	for _, t := range l.SoFar.Timeline {
		most = max(most, t.Asked)
	}
	held.text += sparkline(l.SoFar.Timeline, most, columns-liveLabel-displaywidth.String(held.text))
	var doing []string
	for _, phase := range reports.Phases {
		if c := n.Doing[phase]; c > 0 {
			doing = append(doing, fmt.Sprintf("%s %d", phase, c))
		}
	}
	missed := liveLine{3, "", fmt.Sprintf("never held %d, lost while held %d, gave up %d", n.NeverHeld, n.Cut, n.Lost), ""}
	if n.Finished > 0 {
		missed.text += fmt.Sprintf(", done %d", n.Finished)
	}
	if n.Cut+n.Lost > 0 {
		missed.color = red
	}
	return []liveLine{first, held, missed, {7, "workers", strings.Join(doing, ", "), ""}}
}

// clock is a time of the run, to the second.
func clock(s float64) string { return Duration(float64(int64(s + .5))) }

// bars are the heights of a sparkline.
var bars = []rune("▁▂▃▄▅▆▇█")

// sparkline is how many polls were held over the run so far, in so many columns, each
// the last that is known of its part of the time.
func sparkline(ticks []reports.Tick, most, columns int) string {
	if len(ticks) == 0 || most <= 0 || columns <= 0 {
		return ""
	}
	line := make([]rune, min(columns, len(ticks)))
	for i := range line {
		held := ticks[(i+1)*len(ticks)/len(line)-1].Held
		line[i] = bars[min(held*(len(bars)-1)/most, len(bars)-1)]
		if held == 0 {
			line[i] = ' '
		}
	}
	return string(line)
}

func (l Live) rounds() []liveLine {
	n := l.Now
	if n.Rounds == 0 {
		return nil
	}
	text := fmt.Sprintf("%d of %d", min(n.Round+1, n.Rounds), n.Rounds)
	over := slices.DeleteFunc(slices.Clone(l.SoFar.Rounds), func(r reports.Round) bool { return r.Open })
	if len(over) > 0 {
		last := over[len(over)-1]
		text += fmt.Sprintf(", the last %s, its fan-out %s", seconds(last.Seconds), seconds(last.FanoutSeconds))
		if len(over) > 1 {
			text += ", the slowest " + seconds(slowestRound(over))
		}
	}
	return []liveLine{{2, "round", text, ""}}
}

// liveSteps are the series that the view shows, in this order, by what it calls them.
var liveSteps = []struct{ series, label string }{{"wakeup", "fan-out"}, {"model", "model"}, {"update", "update"}, {"lag", "lag"}}

func (l Live) steps() []liveLine {
	var lines []liveLine
	for i, of := range liveSteps {
		at := slices.IndexFunc(l.SoFar.Series, func(s reports.Series) bool { return s.Name == of.series })
		if at < 0 {
			continue
		}
		s := l.SoFar.Series[at]
		lines = append(lines, liveLine{6 + 2*min(i, 1), of.label, fmt.Sprintf("p50 %-7s  p99 %-7s  max %-7s  of %d", seconds(s.P50), seconds(s.P99), seconds(s.Max), s.Count), ""})
	}
	return lines
}

func (l Live) errors() []liveLine {
	by := slices.SortedStableFunc(slices.Values(l.SoFar.Errors), func(a, b reports.ErrorClass) int { return b.Count - a.Count })
	var classes []string
	for _, e := range by {
		classes = append(classes, fmt.Sprintf("%s %d", e.Class, e.Count))
	}
	line := liveLine{4, "errors", cmp.Or(strings.Join(classes, ", "), "none"), ""}
	if l.Now.Errors > 0 {
		line.color = red
	}
	return []liveLine{line}
}

func (l Live) uses() (lines []liveLine) {
	for _, u := range l.Now.Uses {
		text := fmt.Sprintf("%s, %s cores", size(float64(u.RSSBytes)), digits(u.Cores))
		switch {
		case u.FDs < 0:
			text += ", descriptors unknown"
		case u.FDLimit > 0:
			text += fmt.Sprintf(", %d of %d descriptors", u.FDs, u.FDLimit)
		default:
			text += fmt.Sprintf(", %d descriptors", u.FDs)
		}
		lines = append(lines, liveLine{5, u.Process, text, ""})
	}
	return lines
}

func (l Live) limit() []liveLine {
	if l.Limit == nil || l.Limit.Workers == nil {
		return []liveLine{{9, "limit", "unknown", ""}}
	}
	line := liveLine{9, "limit", fmt.Sprintf("%s, %s safely", l.Limit.Limit, Plural(*l.Limit.Workers, "worker")), ""}
	if best := bestOf(*l.Limit); best != "" {
		line.text += fmt.Sprintf(", %s at best", best)
	}
	if l.Now.Held > *l.Limit.Workers {
		line.color = yellow
	}
	return []liveLine{line}
}

func (l Live) foot() []liveLine {
	text := "q ends it with a report, q again at once"
	if l.Ending {
		text = "q ends it at once"
	}
	return []liveLine{{10, "", text, ""}}
}
