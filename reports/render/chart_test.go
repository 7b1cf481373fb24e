package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/plot"
)

// The picture of the ledger has the lowest limits, what is unknown is not drawn as
// none, and a limit below the demand is told from one above it.
func TestLedgerPicture(t *testing.T) {
	r := reports.Report{Demand: reports.Demand{Workers: 1000}, Capacity: &reports.Capacity{}}
	for i := range ledgerRows + 3 {
		r.Capacity.Ledger = append(r.Capacity.Ledger, reports.Row{Limit: fmt.Sprintf("a/limit-%d", i), Workers: ptr(5000 - 250*i)})
	}
	r.Capacity.Ledger = append(r.Capacity.Ledger, reports.Row{Limit: "an/unknown"}, reports.Row{Limit: "the/lowest", Workers: ptr(0), WorkersHard: ptr(20)})
	p := ledger(r)
	if p.Rows != ledgerRows+1 || p.Y.Ticks[ledgerRows].Text != "an/unknown" || !strings.Contains(p.Title, "(4 allow more)") || p.Y.Ticks[0].Text != "the/lowest" {
		t.Errorf("%d rows, %q, %+v", p.Rows, p.Title, p.Y.Ticks)
	}
	cells := 0
	for i, want := range []string{"safe, as many as asked for", "safe, but fewer", "up to the hard end", "unknown: might be lower"} {
		b := p.Blocks[i]
		if b.Name != want || len(b.Cells) == 0 {
			t.Fatalf("%q has %d bars, want some of %q", b.Name, len(b.Cells), want)
		}
		cells += len(b.Cells)
		for _, c := range b.Cells {
			if i == 0 && c.X1 < 1000 || i == 1 && c.X1 >= 1000 {
				t.Errorf("a bar of %v is %s", c.X1, b.Name)
			}
		}
	}
	if cells != ledgerRows+2 {
		t.Errorf("%d bars", cells)
	}
	for _, none := range []reports.Report{{}, {Capacity: &reports.Capacity{}}, {Demand: r.Demand, Capacity: &reports.Capacity{Ledger: []reports.Row{{Limit: "an/unknown"}}}}} {
		for _, p := range figures(none) {
			t.Errorf("a picture of nothing: %+v", p)
		}
	}
}

// figures are all plots of a report's page.
func figures(r reports.Report) (all []plot.Plot) {
	for _, s := range newDocument(r).sections {
		all = append(all, s.figures...)
	}
	return all
}

// Levels are drawn by size, whatever the order of trial, with the service level.
func TestLevelsPicture(t *testing.T) {
	r := capacitySample()
	r.Levels[0], r.Levels[2] = r.Levels[2], r.Levels[0]
	p := levelTimes(r)
	for i, want := range []float64{250, 500, 750} {
		if got := p.Lines[0].Points[i].X; got != want {
			t.Errorf("point %d is of %v workers, want %v", i, got, want)
		}
	}
	if len(p.Rules) != 2 || p.Rules[0].Text != "fanout.p99<500ms" || p.Rules[0].At != 500 || !p.Rules[1].Upright || p.Rules[1].At != 500 {
		t.Errorf("rules %+v", p.Rules)
	}
}
