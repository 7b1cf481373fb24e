package render

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/fltool/fltool/reports"
)

// JUnit writes a test case for the verdict and for every threshold, check and
// level, as CI systems show them. What fltool can't tell is an error, not a
// failure; what does not apply or was waived is skipped.
func JUnit(w io.Writer, r reports.Report) error {
	suite := junit.Testsuite{
		Name: "fltool " + string(r.Kind), Hostname: reports.Clean(r.Env.Hostname), Timestamp: reports.Clean(r.Env.Started),
		Time: fmt.Sprintf("%.3f", r.Env.Seconds),
	}
	d := newDocument(r)
	verdict := junit.Testcase{Name: "verdict", Classname: "fltool." + string(r.Kind), Time: fmt.Sprintf("%.3f", r.Env.Seconds)}
	result(&verdict, map[reports.Verdict]reports.Status{
		reports.VerdictPass: reports.StatusPass, reports.VerdictWarn: reports.StatusWarn,
		reports.VerdictFail: reports.StatusFail, reports.VerdictRefused: reports.StatusUnknown,
	}[r.Verdict], d.headline, strings.Join(d.reasons, "\n"))
	suite.AddTestcase(verdict)

	for _, t := range r.Thresholds {
		c := junit.Testcase{Name: reports.Clean(t.Expr), Classname: "fltool.threshold"}
		status, got := reports.StatusFail, "no samples"
		if t.Pass {
			status = reports.StatusPass
		}
		if t.Got != nil {
			got = figure(*t.Got, t.Unit)
		}
		result(&c, status, reports.Clean(t.Expr+": got "+got), "")
		suite.AddTestcase(c)
	}
	for _, l := range r.Levels {
		c := junit.Testcase{Name: Plural(l.Workers, "worker"), Classname: "fltool.level"}
		status := reports.StatusPass
		switch l.Verdict {
		case reports.VerdictFail:
			status = reports.StatusFail
		case reports.VerdictRefused:
			status = reports.StatusUnknown
		}
		result(&c, status, reports.Clean(strings.Join(l.Reasons, "; ")), "")
		suite.AddTestcase(c)
	}
	for _, f := range r.Findings {
		c := junit.Testcase{Name: reports.Clean(f.Name()), Classname: "fltool.check"}
		status := f.Status
		if status == reports.StatusUnknown && f.Severity != reports.SeverityError {
			status = reports.StatusNA // it decides nothing; its reason is shown
		}
		var text []string
		for _, l := range particulars(f) {
			text = append(text, l.label+": "+reports.Clean(l.text))
		}
		if f.Because != "" {
			text = append(text, "because of: "+reports.Clean(f.Because))
		}
		message := f.Title
		if f.Reason != "" {
			message = strings.TrimPrefix(message+": "+f.Reason, ": ")
		}
		result(&c, status, reports.Clean(message), strings.Join(text, "\n"))
		suite.AddTestcase(c)
	}

	var suites junit.Testsuites
	suites.AddSuite(suite)
	return suites.WriteXML(w)
}

// result puts an outcome into a test case.
func result(c *junit.Testcase, s reports.Status, message, text string) {
	switch s {
	case reports.StatusPass:
	case reports.StatusWarn:
		c.SystemOut = &junit.Output{Data: strings.TrimSpace("warning: " + message + "\n" + text)}
	case reports.StatusFail:
		c.Failure = &junit.Result{Message: cmp.Or(message, "failed"), Data: text}
	case reports.StatusNA, reports.StatusWaived:
		c.Skipped = &junit.Result{Message: strings.TrimSpace(string(s) + ": " + message), Data: text}
	default:
		c.Error = &junit.Result{Message: cmp.Or(message, "fltool can't tell"), Type: "unknown", Data: text}
	}
}
