package render

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/fltool/fltool/reports"
)

// comparisons are a regression, one of mixed runs that can't tell, and one without
// a change.
func comparisons(t *testing.T) map[string]reports.Comparison {
	var base, new []reports.Report
	for i := range 8 {
		noise := 1 + float64(i)/100
		b, n := roundsSample(), roundsSample()
		for j := range b.Rounds {
			b.Rounds[j].Seconds *= noise
			n.Rounds[j].Seconds *= noise * 1.3
		}
		b.Resources[0].RSSPerWorkerBytes, n.Resources[0].RSSPerWorkerBytes = ptr(17000*noise), ptr(17050*noise)
		b.Env.Started, n.Env.Started = fmt.Sprintf("2026-03-01T12:%02d:00Z", i), fmt.Sprintf("2026-03-01T13:%02d:00Z", i)
		n.Errors = []reports.ErrorClass{{Class: "5xx", Count: 7, Workers: 7}}
		base, new = append(base, b), append(new, n)
	}
	new[7].Verdict, new[7].Reasons = reports.VerdictRefused, []string{"the generator was the bottleneck"}
	new[0].Env.Kernel = "Linux 6.2.0"
	few := [2][]reports.Report{{base[0], holdSample()}, {base[1], holdSample()}}
	few[0][1].Env.Started, few[1][1].Env.Started = "2026-03-01T12:30:00Z", "2026-03-01T13:30:00Z"
	later := slices.Clone(base)
	for i := range later {
		later[i].Env.Started = fmt.Sprintf("2026-03-01T14:%02d:00Z", i)
	}
	all := map[string]reports.Comparison{}
	for name, sides := range map[string][2][]reports.Report{
		"compare": {base, new}, "compare-few": few, "compare-same": {base, later},
	} {
		c, err := reports.Compare(sides[0], sides[1], nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = c
	}
	return all
}

func TestCompareGolden(t *testing.T) {
	for name, c := range comparisons(t) {
		for _, format := range Comparisons.Names() {
			show, err := Comparisons.For(format, Style{})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := show(&b, c); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+format, b.Bytes())
		}
	}
}

// Who shows a comparison may write it to a file afterwards: it stays as it is.
func TestCompareLeavesItsComparison(t *testing.T) {
	c := reports.Comparison{Runs: []string{"", "a\x1b"}, Environment: []string{"", "b\x1b"}, Warnings: []string{"", "c\x1b"}}
	comparison(c, true)
	for _, lines := range [][]string{c.Runs, c.Environment, c.Warnings} {
		if lines[0] != "" || lines[1][1] != '\x1b' {
			t.Errorf("it became %q", lines)
		}
	}
}
