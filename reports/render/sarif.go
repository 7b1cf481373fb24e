package render

import (
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/fltool/fltool/reports"
)

// home is where the pages of checks can be read.
const home = "https://github.com/fltool/fltool"

// sarifLog is what SARIF 2.1.0 takes of a report. Its words are the format's:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string       `json:"id"`
	ShortDescription sarifMessage `json:"shortDescription"`
	HelpURI          string       `json:"helpUri,omitempty"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifMessage       `json:"message"`
	Locations    []sarifLocation    `json:"locations,omitempty"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifLocation struct {
	PhysicalLocation struct {
		ArtifactLocation struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification,omitempty"`
}

// SARIF writes what is wrong as static analysis results (SARIF 2.1.0), which
// code reviews show at the line. What passes or does not apply is left out; what
// is waived is suppressed, with its reason. Files of the repository are named from its
// root, as code reviews want them.
func (o Style) SARIF(w io.Writer, r reports.Report) error {
	run := sarifRun{Results: []sarifResult{}, Tool: sarifTool{sarifDriver{
		Name: "fltool", Version: reports.Clean(strings.TrimPrefix(r.Env.Tool, "fltool ")), InformationURI: home, Rules: []sarifRule{},
	}}}
	rules := map[string]int{}
	for _, f := range sarifFindings(r) {
		level, shown := sarifLevel(f)
		if !shown {
			continue
		}
		rule, known := rules[f.Check]
		if !known {
			rule = len(rules)
			rules[f.Check] = rule
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSARIFRule(f))
		}
		result := sarifResult{RuleID: f.Check, RuleIndex: rule, Kind: "fail", Level: level, Message: sarifMessage{sarifText(f)}}
		if f.Status == reports.StatusUnknown {
			result.Kind, result.Level = "open", "none" // which any kind but fail must have
		}
		if f.Status == reports.StatusWaived {
			result.Suppressions = []sarifSuppression{{"external", reports.Clean(f.Reason)}}
		}
		if file, line, ok := o.sarifPlace(f.Source); ok {
			var at sarifLocation
			at.PhysicalLocation.ArtifactLocation.URI = file
			if line > 0 {
				at.PhysicalLocation.Region = &sarifRegion{line}
			}
			result.Locations = []sarifLocation{at}
		}
		run.Results = append(run.Results, result)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sarifFindings are the report's: of many hosts what is said of several is one, and
// of two readings those that are answered otherwise.
func sarifFindings(r reports.Report) []reports.Finding {
	all := slices.Clone(r.Findings)
	for _, g := range reports.GroupFindings(r.Hosts) {
		all = append(all, groupFinding(g, len(r.Hosts)))
	}
	if r.Drift != nil {
		for _, c := range r.Drift.Checks {
			all = append(all, c.Finding)
		}
	}
	return all
}

func newSARIFRule(f reports.Finding) sarifRule {
	rule := sarifRule{ID: f.Check, ShortDescription: sarifMessage{cmp.Or(reports.Clean(f.Title), f.Check)}}
	if f.Doc != "" {
		rule.HelpURI = home + "/blob/main/" + f.Doc
	}
	return rule
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
	text := f.Title
	if got := cmp.Or(f.Got, f.Reason); got != "" {
		text += ": " + got
	}
	if f.Want != "" {
		text += "; wanted: " + f.Want
	}
	if f.Symptom != "" {
		text += ". Users see: " + f.Symptom
	}
	if f.Remedy.Text != "" {
		text += ". Fix: " + f.Remedy.Text
	}
	return reports.Clean(text)
}

// sarifPlace takes "/etc/nginx/nginx.conf:7 (built-in default)" apart: a file's
// URI and its line, 0 where none is given.
func (o Style) sarifPlace(source string) (uri string, line int, ok bool) {
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
	u := url.URL{Path: o.inRepository(file)}
	if path.IsAbs(u.Path) {
		u.Scheme = "file"
	}
	return u.String(), line, true
}

// inRepository is a file's path from the repository's root, where it is in one; a
// relative one is of the folder that fltool runs in.
func (o Style) inRepository(file string) string {
	if o.Repository == "" {
		return file
	}
	whole := file
	if !path.IsAbs(whole) {
		whole = path.Join(o.Dir, whole)
	}
	inside, ok := strings.CutPrefix(path.Clean(whole), strings.TrimSuffix(o.Repository, "/")+"/")
	if !ok {
		return file
	}
	return inside
}
