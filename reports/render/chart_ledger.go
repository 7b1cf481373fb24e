package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// The ledger's picture: how many limits it has, the lowest first, and how many times
// the demand its axis reaches. What allows more than that is no matter.
const (
	ledgerRows  = 16
	ledgerReach = 100

	ledgerUnknown = 8 // rows of limits that are unknown
)

// ledger draws how many workers each limit allows, beside how many are asked for.
func ledger(r reports.Report) plot.Plot {
	if r.Capacity == nil || r.Demand.Workers <= 0 {
		return plot.Plot{}
	}
	known := slices.DeleteFunc(slices.Clone(r.Capacity.Ledger), func(x reports.Row) bool { return x.Workers == nil })
	slices.SortStableFunc(known, func(a, b reports.Row) int { return cmp.Compare(*a.Workers, *b.Workers) })
	title := "What each limit allows"
	if left := len(known) - ledgerRows; left > 0 {
		title += fmt.Sprintf(" (%d allow more)", left)
		known = known[:ledgerRows]
	}
	if len(known) == 0 {
		return plot.Plot{}
	}
	var unknown []reports.Row
	for _, x := range r.Capacity.Ledger {
		if x.Unknown() && !x.Waived && len(unknown) < ledgerUnknown {
			unknown = append(unknown, x)
		}
	}
	asked, rows := float64(r.Demand.Workers), len(known)+len(unknown)
	p := plot.Plot{
		Title: title, Rows: rows, Wide: true,
		X:     plot.Axis{Label: "workers", Log: true, Min: 1, Max: math.Pow(10, math.Ceil(math.Log10(asked*ledgerReach)))},
		Y:     plot.Axis{Min: 0, Max: float64(rows)},
		Rules: []plot.Rule{{Text: count(r.Demand.Workers) + " asked for", At: asked, Upright: true}},
	}
	enough := plot.Blocks{Name: "safe, as many as asked for", Colour: plot.Teal}
	few := plot.Blocks{Name: "safe, but fewer", Colour: plot.Red}
	hard := plot.Blocks{Name: "up to the hard end", Colour: plot.Amber, Shade: .8}
	for i, x := range known {
		y := float64(rows - i)
		p.Y.Ticks = append(p.Y.Ticks, plot.Tick{At: y - .5, Text: reports.Clean(x.Limit)})
		safe := plot.Cell{X0: 1, X1: float64(*x.Workers), Y0: y - .85, Y1: y - .15, Title: fmt.Sprintf("%s: %s safely", reports.Clean(x.Limit), Plural(*x.Workers, "worker"))}
		if safe.X1 < asked {
			few.Cells = append(few.Cells, safe)
		} else {
			enough.Cells = append(enough.Cells, safe)
		}
		if x.WorkersHard != nil && *x.WorkersHard > *x.Workers {
			hard.Cells = append(hard.Cells, plot.Cell{X0: safe.X1, X1: float64(*x.WorkersHard), Y0: safe.Y0, Y1: safe.Y1,
				Title: fmt.Sprintf("%s: %s at the very most", reports.Clean(x.Limit), Plural(*x.WorkersHard, "worker"))})
		}
	}
	none := plot.Blocks{Name: "unknown: might be lower", Colour: plot.Grey, Shade: .35}
	for i, x := range unknown {
		y := float64(len(unknown) - i)
		p.Y.Ticks = append(p.Y.Ticks, plot.Tick{At: y - .5, Text: reports.Clean(x.Limit)})
		none.Cells = append(none.Cells, plot.Cell{X0: p.X.Min, X1: p.X.Max, Y0: y - .85, Y1: y - .15, Title: reports.Clean(x.Limit) + ": unknown"})
	}
	for _, b := range []plot.Blocks{enough, few, hard, none} {
		if len(b.Cells) > 0 {
			p.Blocks = append(p.Blocks, b)
		}
	}
	return p
}
