package render

import (
	"cmp"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/fltool/fltool/reports"
)

// home is where the pages of checks can be read.
const home = "https://github.com/fltool/fltool"

// SARIF writes what is wrong as static analysis results (SARIF 2.1.0), which
// code reviews show at the line. What passes or does not apply is left out; what
// is waived is suppressed, with its reason.
func SARIF(w io.Writer, r reports.Report) error {
	run := sarif.NewRunWithInformationURI("fltool", home)
	if tool := strings.TrimPrefix(r.Env.Tool, "fltool "); tool != "" {
		run.Tool.Driver.WithVersion(reports.Clean(tool))
	}
	run.Results = []*sarif.Result{}
	for _, f := range r.Findings {
		level, shown := sarifLevel(f)
		if !shown {
			continue
		}
		rule := run.AddRule(f.Check).WithDescription(reports.Clean(f.Title))
		if f.Doc != "" {
			rule.WithHelpURI(home + "/blob/main/" + f.Doc)
		}
		result := run.CreateResultForRule(f.Check).WithLevel(level).WithMessage(sarif.NewTextMessage(sarifText(f)))
		if f.Status == reports.StatusUnknown {
			result.WithKind("open")
			result.WithLevel("none") // which any kind but fail must have
		}
		if f.Status == reports.StatusWaived {
			result.AddSuppression(sarif.NewSuppression().WithKind("external").WithJustification(reports.Clean(f.Reason)))
		}
		if file, line, ok := sarifPlace(f.Source); ok {
			at := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation(file))
			if line > 0 {
				at.WithRegion(sarif.NewRegion().WithStartLine(line))
			}
			result.AddLocation(sarif.NewLocationWithPhysicalLocation(at))
		}
	}
	report := sarif.NewReport()
	report.AddRun(run)
	return report.PrettyWrite(w)
}

func sarifLevel(f reports.Finding) (level string, shown bool) {
	switch f.Status {
	case reports.StatusPass, reports.StatusNA:
		return "", false
	}
	return map[reports.Severity]string{
		reports.SeverityError: "error", reports.SeverityWarn: "warning", reports.SeverityInfo: "note",
	}[f.Severity], true
}

func sarifText(f reports.Finding) string {
	if f.Status == reports.StatusUnknown {
		return reports.Clean(f.Title + ": unknown: " + f.Reason)
	}
	text := f.Title + ": " + cmp.Or(f.Got, f.Reason)
	if f.Want != "" {
		text += "; wanted: " + f.Want
	}
	if f.Symptom != "" {
		text += ". Users see: " + f.Symptom
	}
	if f.Remedy.Text != "" {
		text += ". Mend: " + f.Remedy.Text
	}
	return reports.Clean(text)
}

// sarifPlace takes "/etc/nginx/nginx.conf:7 (built-in default)" apart: a file's
// URI and its line, 0 where none is given.
func sarifPlace(source string) (uri string, line int, ok bool) {
	source, _, _ = strings.Cut(source, " (")
	if source == "" || strings.ContainsAny(source, " ,") || strings.HasPrefix(source, "--") {
		return "", 0, false
	}
	file, found := source, false
	if i := strings.LastIndexByte(source, ':'); i > 0 {
		if n, err := strconv.Atoi(source[i+1:]); err == nil && n > 0 {
			file, line, found = source[:i], n, true
		}
	}
	if !found && !strings.Contains(file, "/") && !strings.Contains(file, ".") {
		return "", 0, false // "systemd's default" and the like
	}
	u := url.URL{Path: file}
	if strings.HasPrefix(file, "/") {
		u.Scheme = "file"
	}
	return u.String(), line, true
}
