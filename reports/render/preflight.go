package render

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"github.com/fltool/fltool/reports"
)

// inFull is how many findings, the worst, are told with what to do; the others take
// a line each, unless all is asked for.
const inFull = 3

// preflightTable is the table of a preflight: the answer, what is
// wrong (worst first, the binding limit on top, consequences below their causes),
// then the ledger. What is right, in a line each, and what is not applicable are
// counted only, unless they are asked for: the answer should fit a screen.
func (o Style) preflightTable(w io.Writer, r reports.Report) error {
	r = harmless(r)
	p := &preflightWriter{o: o, limit: bindingLimit(r)}
	p.answer(r)
	right := 0
	ordered := p.ordered(r.Findings)
	for i, f := range ordered {
		alike := func(g reports.Finding) bool { return unknownAlike(f, g) }
		switch {
		case f.Status == reports.StatusPass && !answers(f) && !o.Verbose:
			right++
		case slices.ContainsFunc(ordered[:i], alike): // told with that one
		default:
			p.finding(f)
			p.soAre(slices.DeleteFunc(slices.Clone(ordered[i+1:]), func(g reports.Finding) bool { return !alike(g) }))
		}
	}
	if o.Verbose {
		p.notApplicable(r.Findings)
	}
	if r.Capacity != nil {
		p.ledger(*r.Capacity)
	}
	if !o.Verbose {
		p.rest(right, r.Findings)
	}
	_, err := w.Write(p.b.Bytes())
	return err
}

// harmless is the report with all text of findings and ledger clean, which was
// read from hosts and files.
func harmless(r reports.Report) reports.Report {
	r.Findings = slices.Clone(r.Findings)
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, s := range []*string{
			&f.Check, &f.Host, &f.Hop, &f.Title, (*string)(&f.Status), (*string)(&f.Was), &f.Got, &f.Want, &f.Source, &f.Symptom,
			&f.Because, &f.Reason, &f.Doc, &f.Remedy.Text, &f.Remedy.Then,
		} {
			*s = reports.Clean(*s)
		}
		f.Remedy.Commands = cleanAll(f.Remedy.Commands)
		f.Remedy.Files = slices.Clone(f.Remedy.Files)
		for j := range f.Remedy.Files {
			file := &f.Remedy.Files[j]
			file.Path, file.Section, file.Lines = reports.Clean(file.Path), reports.Clean(file.Section), cleanAll(file.Lines)
		}
	}
	if r.Capacity != nil {
		k := *r.Capacity
		k.Limit = reports.Clean(k.Limit)
		k.Ledger = slices.Clone(k.Ledger)
		for i := range k.Ledger {
			row := &k.Ledger[i]
			row.Limit, row.Host, row.Hop, row.InUseUnit, row.Source, row.Proof =
				reports.Clean(row.Limit), reports.Clean(row.Host), reports.Clean(row.Hop), reports.Clean(row.InUseUnit), reports.Clean(row.Source), reports.Clean(row.Proof)
		}
		r.Capacity = &k
	}
	return r
}

func cleanAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = reports.Clean(l)
	}
	return out
}

// answers says whether a check that passes tells what was asked for: every hop's
// timeout, and what a probe met.
func answers(f reports.Finding) bool {
	return f.Check == "nginx/timeout-chain" || strings.HasPrefix(f.Check, "probe/")
}

type preflightWriter struct {
	b     bytes.Buffer
	o     Style
	limit string
	told  int // findings in full
	brief int // findings without what to do
}

// ordered is all but n/a, worst first; a consequence comes right after its cause.
func (p *preflightWriter) ordered(all []reports.Finding) []reports.Finding {
	heads := slices.DeleteFunc(slices.Clone(all), func(f reports.Finding) bool {
		return f.Status == reports.StatusNA || f.Because != ""
	})
	worst := func(f reports.Finding) int { // a cause is as bad as the worst that it causes
		rank := findingOrder(f)*2 + 1
		if f.Check == p.limit {
			rank--
		}
		for _, g := range all {
			if g.Because == f.Check {
				rank = min(rank, findingOrder(g)*2)
			}
		}
		return rank
	}
	slices.SortStableFunc(heads, func(a, b reports.Finding) int { return worst(a) - worst(b) })
	var out []reports.Finding
	var add func(f reports.Finding)
	add = func(f reports.Finding) {
		out = append(out, f)
		for _, g := range all {
			if g.Because == f.Check && (g.Host == f.Host || g.Host == "" || f.Host == "") && !slices.ContainsFunc(out, func(o reports.Finding) bool { return o.Check == g.Check && o.Host == g.Host && o.Hop == g.Hop }) {
				add(g)
			}
		}
	}
	for _, f := range heads {
		add(f)
	}
	return out
}

// finding writes one: a line where it is fine, a paragraph where it is not.
func (p *preflightWriter) finding(f reports.Finding) {
	text := f.Got
	switch {
	case f.Status == reports.StatusUnknown:
		text = f.Reason
	case f.Status == reports.StatusWaived:
		text = fmt.Sprintf("%s; was %s: %s", f.Reason, f.Was, f.Got)
	case f.Reason != "":
		text += " (" + f.Reason + ")"
	}
	if isNote(f) && f.Want != "" {
		text += "; better: " + f.Want
	}
	p.line(f, text)
	if f.Status != reports.StatusFail && f.Status != reports.StatusWarn || isNote(f) {
		return
	}
	if p.told == inFull && !p.o.Verbose {
		p.brief++
		return
	}
	if f.Because != "" { // fix the cause first
		p.field("because", f.Because+" fails")
		return
	}
	p.told++
	p.field("wanted", f.Want)
	p.field("users see", f.Symptom)
	p.field("read from", f.Source)
	if r := f.Remedy; r.Text != "" {
		p.field("fix", r.Text)
		for _, file := range r.Files {
			p.verbatim(17, file.Path+":")
			if file.Section != "" {
				p.verbatim(19, "["+file.Section+"]")
			}
			for _, line := range file.Lines {
				p.verbatim(19, line)
			}
		}
		for _, c := range r.Commands {
			p.verbatim(17, "$ "+c)
		}
		if len(r.Commands) == 0 && r.Then != "" {
			then := r.Then
			if then == "login" {
				then = "new login"
			}
			p.field("", "takes effect after a "+then)
		}
	}
}

// unknownAlike says whether two checks of one weight are unknown for one reason.
func unknownAlike(f, g reports.Finding) bool {
	return f.Status == reports.StatusUnknown && f.Status == g.Status && f.Reason == g.Reason && f.Host == g.Host && f.Hop == g.Hop &&
		findingOrder(f) == findingOrder(g)
}

// soAre names the checks of which the same is to be said.
func (p *preflightWriter) soAre(fs []reports.Finding) {
	var names []string
	for _, f := range fs {
		names = append(names, f.Check)
	}
	p.field("so are", strings.Join(names, ", "))
}

// label is the word before a finding's name, in every format.
func label(f reports.Finding) string {
	switch f.Status {
	case reports.StatusFail:
		return "FAIL"
	case reports.StatusUnknown:
		return "UNKNOWN"
	case reports.StatusWarn:
		if isNote(f) {
			return "note"
		}
		return "WARN"
	case reports.StatusPass:
		return "ok"
	}
	return string(f.Status)
}

// line writes a finding's label, the check's name, and a text beside them.
func (p *preflightWriter) line(f reports.Finding, text string) {
	word := label(f)
	head := fmt.Sprintf("%-6s ", word)
	if len(head) <= len(word) {
		head = word + " "
	}
	p.painted(f.Status, word, p.hanging(head+pad(f.Name(), 35-len(head))+"  ", 37, text))
}

// notApplicable lists what was not asked, and why.
func (p *preflightWriter) notApplicable(all []reports.Finding) {
	for _, f := range all {
		if f.Status == reports.StatusNA {
			p.line(f, f.Reason)
		}
	}
}

// rest counts what is not shown.
func (p *preflightWriter) rest(right int, all []reports.Finding) {
	none := 0
	for _, f := range all {
		if f.Status == reports.StatusNA {
			none++
		}
	}
	var hidden []string
	if p.brief > 0 {
		hidden = append(hidden, "what to do about "+Plural(p.brief, "finding"))
	}
	for _, n := range []struct {
		checks int
		what   string
	}{{right, "passed"}, {none, "not applicable"}} {
		if n.checks > 0 {
			hidden = append(hidden, fmt.Sprintf("%d %s", n.checks, n.what))
		}
	}
	if len(hidden) > 0 {
		if !bytes.HasSuffix(p.b.Bytes(), []byte("\n\n")) {
			fmt.Fprintln(&p.b)
		}
		p.wrapped("Not shown: " + strings.Join(hidden, ", ") + " (--verbose lists them).")
	}
}

// ledger writes a row a limit, the tightest on top.
func (p *preflightWriter) ledger(k reports.Capacity) {
	if len(k.Ledger) == 0 {
		return
	}
	rows := slices.Clone(k.Ledger)
	of := func(r reports.Row) int {
		switch {
		case r.NoLimit:
			return math.MaxInt
		case r.Workers == nil:
			return -1
		}
		return *r.Workers
	}
	slices.SortStableFunc(rows, func(a, b reports.Row) int { return cmp.Compare(of(a), of(b)) })
	measured := slices.ContainsFunc(rows, func(r reports.Row) bool { return r.Measured != nil })
	last := "in use now"
	if measured {
		last = "measured  " + last
	}
	fmt.Fprintf(&p.b, "\n%-28s %9s %9s %9s %9s  %s\n", "limit", "safe", "likely", "hard", "headroom", last)
	unproven, between := false, false
	for _, r := range rows {
		name := r.Name()
		if r.Waived {
			name += " (waived)"
		}
		if r.Proof == "unproven" {
			unproven = true
		} else {
			name += " ✓"
		}
		use := ""
		if r.InUse != nil {
			use = fmt.Sprintf("%d %s", *r.InUse, r.InUseUnit)
			if r.InUseUnit == "bytes" {
				use = size(float64(*r.InUse))
			}
		}
		if measured {
			n := ""
			if r.Measured != nil {
				n = fmt.Sprint(*r.Measured)
			}
			use = fmt.Sprintf("%8s  %s", n, use)
		}
		left := ""
		if r.Headroom != nil && workersOf(r) != noLimit {
			left = fmt.Sprintf("%+d", *r.Headroom)
		}
		between = between || likely(r) != ""
		line := fmt.Sprintf("%s %9s %9s %9s %9s  %s", pad(name, 28), workersOf(r), likely(r), bestOf(r), left, use)
		fmt.Fprintln(&p.b, strings.TrimRight(line, " "))
	}
	if between {
		p.wrapped(likelyNote + ".")
	}
	if unproven {
		p.wrapped("Rows without a ✓ rest on formulas that no experiment of fltool has proved yet.")
	}
}

// field writes a line of a finding's paragraph.
func (p *preflightWriter) field(name, text string) {
	if text != "" {
		p.b.WriteString(p.hanging(fmt.Sprintf("       %-10s", name), 17, text))
	}
}

// verbatim writes a line to be copied: never broken, rather less indented.
func (p *preflightWriter) verbatim(indent int, line string) {
	indent = max(1, min(indent, p.o.text()-displaywidth.String(line)))
	fmt.Fprintf(&p.b, "%*s%s\n", indent, "", line)
}

func (p *preflightWriter) wrapped(text string) { p.b.WriteString(p.hanging("", 0, text)) }

// hanging is a text beside a head, wrapped and indented.
func (p *preflightWriter) hanging(head string, indent int, text string) string {
	return Wrap(head+text, indent, p.o.text()) + "\n"
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-displaywidth.String(s)))
}

// painted writes lines whose first word is in the colour of a status.
func (p *preflightWriter) painted(s reports.Status, word, lines string) {
	if color, ok := statusColor[s]; ok {
		lines = p.o.paint(word, color) + strings.TrimPrefix(lines, word)
	}
	p.b.WriteString(lines)
}
