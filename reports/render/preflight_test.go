package render

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"github.com/fltool/fltool/reports"
)

// What does not apply is listed with its reason where all is asked for, and else
// counted.
func TestNotApplicable(t *testing.T) {
	r := reports.Report{Findings: []reports.Finding{
		{Check: "nginx/gzip", Status: reports.StatusNA, Reason: "no nginx runs"},
		{Check: "nginx/route", Status: reports.StatusNA, Reason: "no nginx runs"},
	}}
	for verbose, want := range map[bool]string{
		true:  "n/a    nginx/gzip                    no nginx runs\nn/a    nginx/route                   no nginx runs\n",
		false: "\nNot shown: 2 not applicable (--verbose lists them).\n",
	} {
		got := table(t, Style{Verbose: verbose}, r)
		if !strings.HasSuffix(got, want) || strings.Contains(got, "no nginx runs") != verbose {
			t.Errorf("verbose %v: %q", verbose, got)
		}
	}
}

// The worst findings are told with what to do, the others in a line, and all in full
// where that is asked for.
func TestInFull(t *testing.T) {
	var all []reports.Finding
	for _, check := range []string{"a/warn", "b/fail", "c/fail", "d/fail", "e/fail"} {
		f := reports.Finding{Check: check, Status: reports.StatusFail, Severity: reports.SeverityError, Remedy: reports.Remedy{Text: "change " + check}}
		if check == "a/warn" {
			f.Status, f.Severity = reports.StatusWarn, reports.SeverityWarn
		}
		all = append(all, f)
	}
	all = append(all, reports.Finding{Check: "b/follows", Status: reports.StatusFail, Severity: reports.SeverityError, Because: "b/fail"})
	const hidden = "what to do about 2 findings"
	for verbose, full := range map[bool]int{true: len(all) - 1, false: inFull} {
		got := table(t, Style{Verbose: verbose}, reports.Report{Findings: all})
		if n := strings.Count(got, "change "); n != full {
			t.Errorf("verbose %v: %d in full, want %d:\n%s", verbose, n, full, got)
		}
		if strings.Contains(got, "change a/warn") != verbose || strings.Contains(got, hidden) == verbose || !strings.Contains(got, "b/follows") || !strings.Contains(got, "a/warn") {
			t.Errorf("verbose %v:\n%s", verbose, got)
		}
	}
}

// A line of a unit file means nothing without the section that it belongs to.
func TestSection(t *testing.T) {
	r := reports.Report{Findings: []reports.Finding{{
		Check: "app/nofile", Status: reports.StatusFail, Severity: reports.SeverityError,
		Remedy: reports.Remedy{Text: "raise it", Files: []reports.File{{Path: "/etc/x.conf", Section: "Ser\x1bvice", Lines: []string{"LimitNOFILE=4096"}}}},
	}}}
	want := "/etc/x.conf:\n                   [Ser\\x1bvice]\n                   LimitNOFILE=4096\n"
	if got := table(t, Style{}, r); !strings.Contains(got, want) {
		t.Errorf("want %q in %q", want, got)
	}
}

// A row of a report from elsewhere may lack its headroom.
func TestNoHeadroom(t *testing.T) {
	n := 7
	r := reports.Report{Capacity: &reports.Capacity{Ledger: []reports.Row{{Limit: "app/nofile", Workers: &n, Proof: "unproven"}}}}
	if got := table(t, Style{}, r); !strings.Contains(got, "app/nofile                           7\n") {
		t.Errorf("%q", got)
	}
}

// No line is longer than a terminal's, whatever a host is called and however much
// is wrong.
func TestLongLines(t *testing.T) {
	failed := slices.Repeat([]reports.Finding{{Check: "x", Status: reports.StatusFail}}, 100)
	r := reports.Report{Verdict: reports.VerdictFail, Capacity: &reports.Capacity{}, Findings: append(failed, reports.Finding{
		Check: "nginx/worker-connections", Host: "fl-proxy-production.example.org", Status: reports.StatusFail, Got: strings.Repeat("word ", 20),
	})}
	for line := range strings.Lines(table(t, Style{}, r)) {
		if n := displaywidth.String(strings.TrimRight(line, "\n")); n > usualColumns {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

func table(t *testing.T, o Style, r reports.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := o.preflightTable(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A host without a server is judged, and the answer says that this was all.
func TestNoServer(t *testing.T) {
	for status, want := range map[reports.Status]bool{reports.StatusWarn: true, reports.StatusPass: false} {
		r := reports.Report{Verdict: reports.VerdictPass, Findings: []reports.Finding{{Check: "app/found", Status: status}}}
		text := table(t, Style{}, r)
		if got := strings.Contains(text, "No server runs yet"); got != want {
			t.Errorf("%s: %s", status, text)
		}
	}
}
