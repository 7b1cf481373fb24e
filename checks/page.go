package checks

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/reports"
)

// Page is a check's page of the manual, in Markdown of 80 columns: what fltool
// explain prints and docs/checks holds.
func Page(c Check) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", c.ID)
	fmt.Fprintf(&b, "%s.\n\n", upper(c.Title))
	paragraph(&b, severityText(c.Severity)+" "+onText(c.On))
	section(&b, "Why", c.Why)
	if c.Formula != "" {
		f := formula(c.Formula)
		section(&b, "Workers it supports", upper(f.Text)+".")
		paragraph(&b, "Source: "+f.Source+".")
		paragraph(&b, "Proof: "+proofText(f.Proof)+".")
	}
	section(&b, "What users see", upper(c.Symptom)+".")
	logLines(&b, c.ID)
	section(&b, "How to fix it", c.Mend)
	fmt.Fprintf(&b, "## What is read\n\n")
	for _, r := range c.Reads {
		bullet(&b, r)
	}
	if len(c.After) > 0 {
		fmt.Fprintf(&b, "\n## Causes\n\n")
		paragraph(&b, "Where one of these fails too, this check is reported as its consequence:")
		for _, id := range c.After {
			bullet(&b, id)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// logLines lists the lines of logs that may tell of a check.
func logLines(b *strings.Builder, id string) {
	of := symptoms.Of(id)
	if len(of) == 0 {
		return
	}
	paragraph(b, "Lines of logs that tell of it, or may (`fltool explain --log FILE` looks for them; docs/symptoms.md has all):")
	for _, s := range of {
		bullet(b, s.Source+": "+s.Title)
	}
	b.WriteByte('\n')
}

// Index is the list of all checks, in Markdown.
func Index() string {
	var b strings.Builder
	b.WriteString("# The checks of preflight\n\n")
	paragraph(&b, "Each has a page here, which `fltool explain ID` prints, too. A check whose formula is named limits the number of workers and has a row in the ledger.")
	b.WriteString("| check | asks whether | severity | formula |\n| --- | --- | --- | --- |\n")
	for _, c := range All() {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s | %s |\n", c.ID, strings.ReplaceAll(c.ID, "/", "-"), c.Title, c.Severity, c.Formula)
	}
	b.WriteString("\n## The formulas\n\n| name | formula | source | proof |\n| --- | --- | --- | --- |\n")
	for _, f := range Formulas() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Name, f.Text, f.Source, f.Proof)
	}
	return b.String()
}

func formula(name string) Formula {
	for _, f := range formulas {
		if f.Name == name {
			return f
		}
	}
	panic("checks: no formula " + name) // a test names every one
}

func proofText(p string) string {
	if p == Unproven {
		return "none yet; no experiment of fltool has confirmed it"
	}
	if p == Itself {
		return p
	}
	return "`make prove` runs the experiments that confirm it: " + p
}

func severityText(s reports.Severity) string {
	switch s {
	case reports.SeverityError:
		return "Severity error: where it fails preflight exits with 1, where it is unknown with 3."
	case reports.SeverityWarn:
		return "Severity warn: it decides the exit code only under `--fail-on warn`."
	default:
		return "Severity info: it never decides the exit code."
	}
}

func onText(o On) string {
	switch o {
	case OnApp:
		return "Asked on the host of the application."
	case OnProxy:
		return "Asked on the host of nginx."
	case OnHop:
		return "Asked of every proxy and forwarder before the application but nginx, which has checks of its own."
	case OnBalancer:
		return "Asked of every load balancer that `--lb` names."
	case OnURL:
		return "Asked from outside, through the URL that workers use (`--url`)."
	default:
		return "Asked on every host of the deployment."
	}
}

func section(b *strings.Builder, head, text string) {
	fmt.Fprintf(b, "## %s\n\n", head)
	paragraph(b, text)
}

func paragraph(b *strings.Builder, text string) {
	b.WriteString(wrap(text, "", ""))
	b.WriteByte('\n')
}

func bullet(b *strings.Builder, text string) { b.WriteString(wrap(text, "- ", "  ")) }

// wrap breaks text at spaces into lines of 80 columns.
func wrap(text, first, rest string) string {
	var b strings.Builder
	line := first
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > 80 {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	return b.String() + line + "\n"
}

// upper starts a sentence, but for names that are written small.
func upper(s string) string {
	if s == "" || strings.HasPrefix(s, "nginx") || strings.HasPrefix(s, "gunicorn") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
