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
// level, as CI systems show them, and of many hosts a suite each. What fltool can't tell is an error, not a
// failure; what does not apply or was waived is skipped.
func JUnit(w io.Writer, r reports.Report) error {
	suite := junit.Testsuite{
		Name: "fltool " + string(r.Kind), Hostname: reports.Clean(r.Env.Hostname), Timestamp: reports.Clean(r.Env.Started),
		Time: fmt.Sprintf("%.3f", r.Env.Seconds),
	}
	d := newDocument(r)
	verdict := junit.Testcase{Name: "verdict", Classname: "fltool." + string(r.Kind), Time: fmt.Sprintf("%.3f", r.Env.Seconds)}
	verdictResult(&verdict, r.Verdict, d.headline, strings.Join(d.reasons, "\n"))
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
	addFindings(&suite, r.Findings)
	if r.Drift != nil {
		for _, c := range r.Drift.Checks {
			addFindings(&suite, []reports.Finding{c.Finding})
		}
	}

	var suites junit.Testsuites
	suites.AddSuite(suite)
	for i, h := range r.Hosts {
		s := hostSuite(h, r.Env)
		s.ID = i + 1
		suites.AddSuite(s)
	}
	return suites.WriteXML(w)
}

// hostSuite is one of many hosts: its verdict and its checks.
func hostSuite(h reports.Host, env reports.Env) junit.Testsuite {
	name := strings.TrimSpace(h.Role + " " + h.Name)
	suite := junit.Testsuite{Name: reports.Clean(name), Hostname: reports.Clean(h.Name), Timestamp: reports.Clean(env.Started), Time: "0"}
	verdict := junit.Testcase{Name: "verdict", Classname: "fltool.host"}
	message := ""
	if n, known := h.Holds(); known {
		message = fmt.Sprintf("holds %s, %s asked of it", Plural(n, "worker"), count(h.Workers))
	}
	verdictResult(&verdict, h.Verdict, message, reports.Clean(strings.Join(h.Reasons, "\n")))
	suite.AddTestcase(verdict)
	addFindings(&suite, h.Findings)
	return suite
}

// verdictResult puts a verdict into a test case.
func verdictResult(c *junit.Testcase, v reports.Verdict, message, text string) {
	result(c, map[reports.Verdict]reports.Status{
		reports.VerdictPass: reports.StatusPass, reports.VerdictWarn: reports.StatusWarn,
		reports.VerdictFail: reports.StatusFail, reports.VerdictRefused: reports.StatusUnknown,
	}[v], message, text)
}

// addFindings is a test case a check.
func addFindings(suite *junit.Testsuite, findings []reports.Finding) {
	for _, f := range findings {
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
