package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// findingOrder is how much a finding matters, the most first: fail, unknown,
// warn; then what is not known of less, and what is only noted.
func findingOrder(f reports.Finding) int {
	switch {
	case f.Status == reports.StatusFail:
		return 0
	case f.Status == reports.StatusUnknown && f.Severity == reports.SeverityError:
		return 1
	case f.Status == reports.StatusWarn && !isNote(f):
		return 2
	case f.Status == reports.StatusUnknown:
		return 3
	case f.Status == reports.StatusWarn:
		return 4
	case f.Status == reports.StatusWaived:
		return 5
	case f.Status == reports.StatusPass:
		return 6
	}
	return 7
}

// isNote says whether a finding asks for nothing: it is good to know.
func isNote(f reports.Finding) bool {
	return f.Status == reports.StatusWarn && f.Severity == reports.SeverityInfo
}

// findings are those to act on or to know of, worst first; what another
// finding explains stands with its cause.
func findings(r reports.Report) section {
	s := section{title: "Findings, the worst first"}
	causes := map[string]bool{}
	for _, f := range r.Findings {
		causes[f.Check] = true
	}
	consequences := map[string][]string{}
	var own []reports.Finding
	for _, f := range r.Findings {
		switch {
		case f.Status == reports.StatusPass, f.Status == reports.StatusNA:
		case f.Because != "" && causes[f.Because]:
			consequences[f.Because] = append(consequences[f.Because], f.Check)
		default:
			own = append(own, f)
		}
	}
	binds := func(f reports.Finding) bool { return r.Capacity != nil && f.Check == r.Capacity.Limit }
	slices.SortStableFunc(own, func(a, b reports.Finding) int {
		return cmp.Or(findingOrder(a)-findingOrder(b), -boolCompare(binds(a), binds(b)))
	})
	for _, f := range own {
		it := item{status: f.Status, word: label(f), title: f.Name() + ": " + f.Title, lines: particulars(f), check: f.Check}
		if also := consequences[f.Check]; len(also) > 0 {
			it.lines = append(it.lines, particular{label: "explains", text: strings.Join(also, ", ")})
		}
		s.items = append(s.items, it)
	}
	return s
}

// moreLabel is of where more is told of a check.
const moreLabel = "more"

// particulars are what a finding saw, wants and advises.
func particulars(f reports.Finding) []particular {
	var lines []particular
	line := func(label, text string) {
		if text != "" {
			lines = append(lines, particular{label: label, text: text, command: label == "run"})
		}
	}
	if f.Workers != nil {
		line("supports", Plural(*f.Workers, "worker"))
	}
	got := f.Got
	if f.Source != "" {
		got = strings.TrimSpace(got + " (" + f.Source + ")")
	}
	line("is", got)
	line("should be", f.Want)
	line("why", f.Reason)
	line("was", string(f.Was))
	line("users see", f.Symptom)
	line("fix", f.Remedy.Text)
	for _, c := range f.Remedy.Commands {
		line("run", c)
	}
	for _, file := range f.Remedy.Files {
		text := strings.Join(file.Lines, "; ")
		if file.Section != "" {
			text = "[" + file.Section + "] " + text
		}
		line("write", file.Path+": "+text)
	}
	line("then", f.Remedy.Then)
	if f.Doc != "" { // a file of fltool's own, which the reader need not have
		lines = append(lines, particular{label: moreLabel, text: "fltool explain " + f.Check, command: true})
	}
	return lines
}

// passed sums up the findings that ask for nothing.
func passed(r reports.Report) section {
	var pass, na []string
	for _, f := range r.Findings {
		switch f.Status {
		case reports.StatusPass:
			pass = append(pass, f.Check)
		case reports.StatusNA:
			na = append(na, f.Check)
		}
	}
	s := section{detail: true}
	if len(pass) > 0 {
		s.title = "Passed"
		s.notes = append(s.notes, fmt.Sprintf("%d passed: %s", len(pass), strings.Join(pass, ", ")))
	}
	if len(na) > 0 {
		s.title = cmp.Or(s.title, "Does not apply")
		s.notes = append(s.notes, fmt.Sprintf("%d not applicable: %s", len(na), strings.Join(na, ", ")))
	}
	return s
}
