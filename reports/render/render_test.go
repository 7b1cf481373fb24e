package render

import (
	"bytes"
	"encoding/xml"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"github.com/fltool/fltool/reports"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got), -update accepts it:\n%s", path, d)
	}
}

func TestGolden(t *testing.T) {
	for name, r := range samples() {
		for _, format := range Reports.Names() {
			f, err := Reports.For(format, Style{})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := f(&b, r); err != nil {
				t.Errorf("%s as %s: %v", name, format, err)
			}
			if format == "log" { // it is compressed, by each Go in its way; package reports reads it back
				continue
			}
			golden(t, name+"."+format, b.Bytes())
		}
	}
}

// A JSON report reads back as what it was made from.
func TestJSONReadsBack(t *testing.T) {
	for name, r := range samples() {
		var b, again bytes.Buffer
		if err := reports.Encode(&b, r); err != nil {
			t.Fatal(err)
		}
		first := b.String()
		got, err := reports.Decode(&b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := reports.Encode(&again, got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(first, again.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// Only what must stay whole to be copied may be wider than a terminal, and a preflight's
// ledger, which needs 80 columns.
func TestTableWidth(t *testing.T) {
	for name, r := range samples() {
		for _, columns := range []int{60, usualColumns, 200} {
			var b bytes.Buffer
			if err := (Style{Columns: columns}).Table(&b, r); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > columns && !strings.Contains(line, "fltool ") && len(strings.Fields(line)) > 1 && (r.Kind != reports.KindPreflight || n > usualColumns) {
					t.Errorf("%s: %d columns of %d: %s", name, n, columns, line)
				}
				if strings.ContainsAny(line, "\x1b\r") {
					t.Errorf("%s: control characters: %q", name, line)
				}
			}
		}
	}
}

func TestColor(t *testing.T) {
	var plain, colored bytes.Buffer
	if err := (Style{}).Table(&plain, preflightSample()); err != nil {
		t.Fatal(err)
	}
	if err := (Style{Color: true}).Table(&colored, preflightSample()); err != nil {
		t.Fatal(err)
	}
	bare := colored.String()
	for _, code := range []string{bold, red, green, yellow, "0"} {
		bare = strings.ReplaceAll(bare, "\x1b["+code+"m", "")
	}
	if d := cmp.Diff(plain.String(), bare); d != "" {
		t.Errorf("colour changes more than colour:\n%s", d)
	}
	if !strings.HasPrefix(colored.String(), "\x1b["+red+"mNO\x1b[0m") {
		t.Errorf("the verdict is not red: %q", colored.String()[:40])
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{seconds(0), "0 s"}, {seconds(1e-6), "1.00 µs"}, {seconds(.00085), "850 µs"}, {seconds(.0009999), "1.00 ms"},
		{seconds(.0123), "12.3 ms"}, {seconds(.9999), "1.00 s"}, {seconds(59.96), "60.0 s"}, {seconds(99.99), "100 s"},
		{seconds(599), "599 s"}, {seconds(3600), "1h"}, {seconds(5400.4), "1h30m"}, {Duration(10), "10s"}, {Duration(600), "10m"}, {Duration(.5), "500ms"}, {seconds(1e12), "1e+12 s"},
		{size(0), "0 B"}, {size(999), "999 B"}, {size(1000), "0.977 KiB"}, {size(1 << 30), "1.00 GiB"},
		{percent(.001), "0.100 %"}, {percent(1), "100 %"},
		{reports.Clean("a\r\nb\x1b[2J\u202ec\xff"), `a  b\x1b[2J\u202ec` + "\uFFFD"},
		{shell([]string{"fltool", "x y", "it's", "a=1,b"}), `fltool 'x y' 'it'\''s' a=1,b`},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// What is unknown is no number.
func TestUnknownLeft(t *testing.T) {
	g := generator(reports.Report{Generator: &reports.Generator{FDsLeft: -1, PortsLeft: 7}}).grid
	if want := []string{"left at the worst", "unknown descriptors, 7 ports"}; !slices.ContainsFunc(g.rows, func(row []string) bool { return slices.Equal(row, want) }) {
		t.Errorf("%q", g.rows)
	}
}

// Whatever can be read can be shown, in every format, and shows no control
// characters.
func FuzzRender(f *testing.F) {
	for _, r := range samples() {
		r.Timeline, r.Series = nil, nil
		var b bytes.Buffer
		if err := reports.Encode(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"schema": "fltool.report/v1", "kind": "preflight", "verdict": "fail", "env": {"tool": "\u001b"}, "demand": {"workers": 1},
		"findings": [{"check": "\u001b", "title": "\r", "status": "\u007f", "severity": "error"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := reports.Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, name := range Reports.Names() {
			show, err := Reports.For(name, Style{})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := show(&b, r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			// DEL is plain text in JSON, and does nothing to a terminal.
			if bytes.ContainsAny(b.Bytes(), "\x1b\r\x00") || name != "json" && bytes.ContainsAny(b.Bytes(), "\x7f") {
				t.Errorf("%s: control characters", name)
			}
		}
	})
}

// benchstat's own reader takes every line, and finds the run's figures.
func TestBenchmarkReads(t *testing.T) {
	for name, r := range samples() {
		var b bytes.Buffer
		if err := Benchmark(&b, r); err != nil {
			t.Fatal(err)
		}
		reader := benchfmt.NewReader(&b, name)
		results := 0
		for reader.Scan() {
			switch rec := reader.Result().(type) {
			case *benchfmt.SyntaxError:
				t.Errorf("%s: %v", name, rec)
			case *benchfmt.Result:
				results++
				if got, ok := rec.Value("round-sec"); len(r.Rounds) > 0 && (!ok || got != slowestRound(r.Rounds)) {
					t.Errorf("%s: round-sec is %v", name, got)
				}
			}
		}
		if err := reader.Err(); err != nil {
			t.Error(err)
		}
		want := 1
		switch {
		case r.Kind == reports.KindPreflight: // a line a limit that is known, and the whole where all are
			want = len(r.Capacity.Ledger)
			if slices.ContainsFunc(r.Capacity.Ledger, func(x reports.Row) bool { return x.Workers == nil }) {
				want--
			} else {
				want++
			}
		case r.Kind == reports.KindHosts: // a line a host of which it is known
			want = len(slices.DeleteFunc(slices.Clone(r.Hosts), func(h reports.Host) bool { _, known := h.Holds(); return !known }))
		case r.Verdict == reports.VerdictRefused:
			want = 0
		}
		if results != want {
			t.Errorf("%s: %d results, want %d", name, results, want)
		}
	}
}

// The real benchstat compares the runs of two files: every metric, and that rounds
// became slower.
func TestBenchstat(t *testing.T) {
	dir := t.TempDir()
	for name, seconds := range map[string]float64{"base": 1, "new": 1.5} {
		var b bytes.Buffer
		for i := range 8 {
			r := roundsSample()
			for j := range r.Rounds {
				r.Rounds[j].Seconds = seconds + float64(i)/100
			}
			if err := Benchmark(&b, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stderr strings.Builder
	cmd := exec.Command("go", "tool", "benchstat", filepath.Join(dir, "base"), filepath.Join(dir, "new"))
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("benchstat: %v: %s", err, &stderr)
	}
	if !regexp.MustCompile(`round-sec +│ +round-sec +vs base[^\n]*\n.* 1\.035 ± 3% +1\.535 ± 2% +\+48\.31% \(p=0\.000 n=8\)`).Match(out) {
		t.Errorf("benchstat says\n%s", out)
	}
	for _, name := range reports.MetricNames() {
		if _, _, measured, err := roundsSample().Metric(name); err != nil || measured != bytes.Contains(out, []byte(" "+name)) {
			t.Errorf("%s: measured %t; benchstat says\n%s", name, measured, out)
		}
	}
}

// Every row of a Markdown table has its header's cells, whatever text is in them.
func TestMarkdownCells(t *testing.T) {
	bare := regexp.MustCompile(`(^|[^\\])(\\\\)*\|`)
	for name, r := range samples() {
		var b bytes.Buffer
		if err := Markdown(&b, r); err != nil {
			t.Fatal(err)
		}
		cells := 0
		for line := range strings.Lines(b.String()) {
			if !strings.HasPrefix(line, "|") {
				cells = 0
				continue
			}
			n := len(bare.FindAllString(line, -1))
			if cells == 0 {
				cells = n
			}
			if n != cells {
				t.Errorf("%s: %d cells, want %d: %s", name, n, cells, line)
			}
		}
	}
}

func TestMarkdownEscape(t *testing.T) {
	for in, want := range map[string]string{
		"a|b <img> `x` *y* [z](u) @who #1": "a\\|b \\<img\\> \\`x\\` \\*y\\* \\[z\\](u) @<!-- -->who \\#1",
	} {
		if got := escape(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := codeSpan("a `` b"); got != "``` a `` b ```" {
		t.Error(got)
	}
}

// JUnit counts what it lists.
func TestJUnitCounts(t *testing.T) {
	for name, r := range samples() {
		var b bytes.Buffer
		if err := JUnit(&b, r); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Tests    int        `xml:"tests,attr"`
			Failures int        `xml:"failures,attr"`
			Errors   int        `xml:"errors,attr"`
			Failure  []struct{} `xml:"testsuite>testcase>failure"`
			Error    []struct{} `xml:"testsuite>testcase>error"`
		}
		if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := 1 + len(r.Thresholds) + len(r.Levels) + len(r.Findings)
		for _, h := range r.Hosts { // a suite with a verdict of its own
			want += 1 + len(h.Findings)
		}
		if r.Drift != nil {
			want += len(r.Drift.Checks)
		}
		if got.Tests != want {
			t.Errorf("%s: %d tests, want %d", name, got.Tests, want)
		}
		if len(got.Failure) != got.Failures || len(got.Error) != got.Errors {
			t.Errorf("%s: %+v", name, got)
		}
		if bad := got.Failures + got.Errors; (bad > 0) != (reports.Worse(r.Verdict, reports.VerdictWarn) != reports.VerdictWarn) {
			t.Errorf("%s: %s with %d bad cases", name, r.Verdict, bad)
		}
	}
}
