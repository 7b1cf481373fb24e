package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// document is a report put into words and tables, the same for every format
// that people read. All its text is clean.
type document struct {
	word     string          // the verdict, in capitals
	verdict  reports.Verdict // its colour
	headline string
	reasons  []string
	sections []section
}

// section is one part: what it has, in this order.
type section struct {
	title    string
	detail   bool // explains, decides nothing
	grid     *grid
	notes    []string
	commands []string // to be copied whole
	items    []item
}

// grid is a table. Cells of the columns named in text are left-aligned.
type grid struct {
	head    []string
	rows    [][]string
	text    []int
	outcome int // the column of outcomes, which a page colours; 0: none
}

// item is one thing with its particulars.
type item struct {
	status reports.Status
	title  string
	lines  []particular
}

type particular struct {
	label, text string
	command     bool // text is to be copied whole
}

// newDocument puts a report into words, what matters most first.
func newDocument(r reports.Report) document {
	d := document{word: strings.ToUpper(string(r.Verdict)), verdict: r.Verdict, headline: clean(headline(r))}
	for _, reason := range r.Reasons {
		d.reasons = append(d.reasons, clean(reason))
	}
	for _, of := range []func(reports.Report) section{
		capacity, findings, passed, thresholds, levels, slopes, planned, notes, held, rounds, series, errorClasses, lost,
		resources, generator, shards, environment, again,
	} {
		s := of(r)
		if s.grid != nil && len(s.grid.rows) == 0 {
			s.grid = nil
		}
		if s.grid == nil && len(s.notes) == 0 && len(s.commands) == 0 && len(s.items) == 0 {
			continue
		}
		d.sections = append(d.sections, s.clean())
	}
	return d
}

func (s section) clean() section {
	for _, lines := range [][]string{s.notes, s.commands} {
		for i := range lines {
			lines[i] = clean(lines[i])
		}
	}
	if s.grid != nil {
		for _, row := range s.grid.rows {
			for i := range row {
				row[i] = clean(row[i])
			}
		}
	}
	for i := range s.items {
		s.items[i].status = reports.Status(clean(string(s.items[i].status)))
		s.items[i].title = clean(s.items[i].title)
		for j := range s.items[i].lines {
			s.items[i].lines[j].text = clean(s.items[i].lines[j].text)
		}
	}
	return s
}

// capacity is the ledger, the smallest limit on top, then those that are
// unknown, since each might be smaller still.
func capacity(r reports.Report) section {
	if r.Capacity == nil {
		return section{}
	}
	rows := slices.SortedStableFunc(slices.Values(r.Capacity.Ledger), func(a, b reports.Row) int {
		return cmp.Or(
			-boolCompare(a.Limit == r.Capacity.Limit, b.Limit == r.Capacity.Limit),
			-boolCompare(a.Workers == nil, b.Workers == nil),
			cmp.Compare(orZero(a.Workers), orZero(b.Workers)),
		)
	})
	measured := slices.ContainsFunc(rows, func(x reports.Row) bool { return x.Measured != nil })
	last := "headroom"
	if measured {
		last = "measured" // which tells more
	}
	g := &grid{head: []string{"limit", "workers", "hard", "in use", last, "read from"}, text: []int{0, 5}}
	var unproven []string
	for _, x := range rows {
		inUse := ""
		if x.InUse != nil {
			inUse = count(*x.InUse) + " " + x.InUseUnit
			if x.InUseUnit == "bytes" {
				inUse = size(float64(*x.InUse))
			}
		}
		n := x.Headroom
		if measured {
			n = x.Measured
		}
		g.rows = append(g.rows, []string{x.Limit, orUnknown(x.Workers), orEmpty(x.WorkersHard), inUse, orEmpty(n), x.Source})
		if x.Proof == "" || x.Proof == "unproven" {
			unproven = append(unproven, x.Limit)
		}
	}
	s := section{title: "What each limit supports, in workers", grid: g}
	if r.Kind == reports.KindCapacity {
		s.notes = append(s.notes, measurement(r.Capacity)...)
	} else if r.Capacity.Limit != "" {
		note := r.Capacity.Limit + " binds"
		if slices.ContainsFunc(rows, func(x reports.Row) bool { return x.Workers == nil }) {
			note += "; the limits that are unknown follow it, since each might be lower"
		}
		s.notes = append(s.notes, note)
	}
	if len(unproven) > 0 {
		s.notes = append(s.notes, "no experiment has proven the formula of "+strings.Join(unproven, ", "))
	}
	return s
}

// measurement sets what was measured beside what was predicted, and tells what
// showed the limit.
func measurement(c *reports.Capacity) []string {
	var notes []string
	switch {
	case c.FailedAt == 0:
		notes = append(notes, "no level failed, so no limit showed")
	case c.Limit != "":
		notes = append(notes, c.Limit+" binds, by what the server and its clients showed at "+plural(c.FailedAt, "worker"))
	case c.AtLeast:
		notes = append(notes, "nothing could be told of the server at "+plural(c.FailedAt, "worker")+", so no limit of its showed")
	default:
		notes = append(notes, "which limit binds can't be told from what was seen at "+plural(c.FailedAt, "worker"))
	}
	for _, e := range c.Evidence {
		notes = append(notes, "seen: "+e)
	}
	if c.Predicted == nil {
		return append(notes, "nothing was predicted")
	}
	note := fmt.Sprintf("predicted: %s workers, by %s; measured: %s", count(*c.Predicted), c.PredictedBy, atLeast(c))
	if d := c.Workers - *c.Predicted; d != 0 && *c.Predicted > 0 && (!c.AtLeast || d > 0) {
		more := "more"
		if d < 0 {
			d, more = -d, "fewer"
		}
		note += fmt.Sprintf(", %s %s", percent(float64(d)/float64(*c.Predicted)), more)
	}
	notes = append(notes, note)
	if len(c.Unknown) > 0 {
		notes = append(notes, "limits that are unknown, and might be lower than predicted: "+strings.Join(c.Unknown, ", "))
	}
	return notes
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func orZero(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func orEmpty(n *int) string {
	if n == nil {
		return ""
	}
	return count(*n)
}

func orUnknown(n *int) string {
	if n == nil {
		return "unknown"
	}
	return count(*n)
}

// findingOrder is how much a finding matters, the most first.
func findingOrder(f reports.Finding) int {
	status := slices.Index([]reports.Status{
		reports.StatusFail, reports.StatusUnknown, reports.StatusWarn, reports.StatusWaived, reports.StatusPass, reports.StatusNA,
	}, f.Status)
	if f.Severity == reports.SeverityError && (f.Status == reports.StatusFail || f.Status == reports.StatusUnknown) {
		return status
	}
	return 2 + status
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
		it := item{status: f.Status, title: f.Check + ": " + f.Title, lines: particulars(f)}
		if also := consequences[f.Check]; len(also) > 0 {
			it.lines = append(it.lines, particular{label: "explains", text: strings.Join(also, ", ")})
		}
		s.items = append(s.items, it)
	}
	return s
}

// particulars are what a finding saw, wants and advises.
func particulars(f reports.Finding) []particular {
	var lines []particular
	line := func(label, text string) {
		if text != "" {
			lines = append(lines, particular{label: label, text: text, command: label == "run"})
		}
	}
	if f.Workers != nil {
		line("supports", plural(*f.Workers, "worker"))
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
	line("mend", f.Remedy.Text)
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
	line("more", f.Doc)
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

func thresholds(r reports.Report) section {
	g := &grid{head: []string{"threshold", "got", "outcome"}, text: []int{0, 2}, outcome: 2}
	for _, t := range r.Thresholds {
		got, outcome := "no samples", "missed"
		if t.Got != nil {
			got = figure(*t.Got, t.Unit)
		}
		switch {
		case t.Pass:
			outcome = "met"
		case r.Shard != nil:
			got, outcome = "", "judged on the whole, when the shards are merged"
		}
		g.rows = append(g.rows, []string{t.Expr, got, outcome})
	}
	return section{title: "Thresholds", grid: g}
}

func levels(r reports.Report) section {
	g := &grid{head: []string{"workers", "verdict", "held", "lost", "round", "fan-out", "server RSS", "server fds"}, text: []int{1}, outcome: 1}
	s := section{title: "Levels", grid: g}
	for _, l := range r.Levels {
		row := []string{count(l.Workers), string(l.Verdict), count(l.Held.Steady), count(l.Held.LostWhile), "", "", "", ""}
		if len(l.Reasons) > 0 {
			s.notes = append(s.notes, plural(l.Workers, "worker")+": "+strings.Join(l.Reasons, "; "))
		}
		if s := slowestRound(l.Rounds); s > 0 {
			row[4] = seconds(s)
		}
		if l.FanoutSeconds > 0 {
			row[5] = seconds(l.FanoutSeconds)
		}
		for _, x := range l.Resources {
			if x.Process == "server" {
				row[6], row[7] = size(float64(x.RSSPeakBytes)), count(x.FDsPeak)
			}
		}
		g.rows = append(g.rows, row)
	}
	return s
}

// slopes are what each further worker costs.
func slopes(r reports.Report) section {
	g := &grid{head: []string{"metric", "per worker", "±", "without workers", "±", "levels"}, text: []int{0}}
	for _, s := range r.Slopes {
		g.rows = append(g.rows, []string{
			s.Of, figure(s.PerWorker, s.Unit), halfWidth(s.Low, s.High, s.Unit),
			figure(s.Intercept, s.Unit), halfWidth(s.InterLow, s.InterHigh, s.Unit), count(len(s.Workers)),
		})
	}
	sec := section{title: "What each worker costs, by the levels that held", grid: g}
	if len(g.rows) > 0 {
		sec.notes = []string{"peaks of the server's process against workers, by least squares; ± is the interval of 95 % confidence, unknown of fewer than three levels"}
	}
	return sec
}

// halfWidth is how far an interval reaches to either side of its middle.
func halfWidth(low, high *float64, unit string) string {
	if low == nil || high == nil {
		return "unknown"
	}
	return figure((*high-*low)/2, unit)
}

// planned is what more workers would need.
func planned(r reports.Report) section {
	if r.Plan == nil {
		return section{}
	}
	g := &grid{head: []string{"metric", "needed", "±", "rests on"}, text: []int{0, 3}}
	for _, n := range r.Plan.Needs {
		g.rows = append(g.rows, []string{n.Of, figure(n.Value, n.Unit), halfWidth(n.Low, n.High, n.Unit), n.Rests})
	}
	how := "within what was measured"
	if r.Plan.Beyond() {
		how = "extrapolated, not measured"
	}
	s := section{title: fmt.Sprintf("What %s would need: %s", plural(r.Plan.Workers, "worker"), how), grid: g, notes: slices.Clone(r.Plan.Unknown)}
	if len(g.rows) == 0 && len(s.notes) == 0 {
		s.title = fmt.Sprintf("What %s would need", plural(r.Plan.Workers, "worker"))
		s.notes = []string{"can't be told: the server was not measured at two levels that held (--server-pid)"}
	}
	return s
}

func notes(r reports.Report) section {
	return section{title: "About these figures", notes: slices.Clone(r.Notes)}
}

func held(r reports.Report) section {
	h := r.Held
	if h == nil {
		return section{}
	}
	g := &grid{head: []string{"asked", "peak"}, rows: [][]string{{count(h.Asked), count(h.Peak)}}}
	add := func(head, cell string) {
		g.head, g.rows[0] = append(g.head, head), append(g.rows[0], cell)
	}
	if h.HoldSeconds > 0 { // in rounds nothing is held steadily
		add("steady", count(h.Steady))
	}
	add("never held", count(h.NeverHeld))
	add("lost while held", count(h.LostWhile))
	if h.HoldSeconds > 0 {
		add("held for", seconds(h.HoldSeconds))
	}
	s := section{title: "Polls held", grid: g}
	if len(h.NeverCauses) > 0 {
		s.notes = append(s.notes, "never held, by cause: "+causes(h.NeverCauses))
	}
	if len(h.LostCauses) > 0 {
		s.notes = append(s.notes, "lost while held, by cause: "+causes(h.LostCauses))
	}
	if h.RepollsAsked > 0 {
		s.notes = append(s.notes, plural(h.RepollsAsked, "hold")+" ended early by the server's own word")
	}
	return s
}

func causes(by map[string]int) string {
	classes := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(by[b]-by[a], cmp.Compare(a, b))
	})
	for i, c := range classes {
		classes[i] = fmt.Sprintf("%s %d", c, by[c])
	}
	return strings.Join(classes, ", ")
}

func rounds(r reports.Report) section {
	g := &grid{head: []string{"round", "accepted", "failed", "time", "fan-out", "told", "model"}, text: []int{6}}
	byClient := false
	for _, x := range r.Rounds {
		fanout := ""
		if x.Told > 0 {
			fanout = seconds(x.FanoutSeconds)
			if x.FanoutFrom == "client" {
				fanout += "*"
				byClient = true
			}
		}
		g.rows = append(g.rows, []string{count(x.Number), count(x.Workers), count(x.Failed), seconds(x.Seconds), fanout, count(x.Told), x.Version})
	}
	s := section{title: "Rounds", grid: g}
	if byClient {
		s.notes = []string{"* from the first sign that a worker saw: the server does not tell when it published"}
	}
	return s
}

func series(r reports.Report) section {
	g := &grid{head: []string{"step", "count", "p50", "p90", "p99", "p99.9", "max"}, text: []int{0}}
	for _, s := range r.Series {
		row := []string{s.Name, count(s.Count)}
		for _, v := range []float64{s.P50, s.P90, s.P99, s.P999, s.Max} {
			if s.Count == 0 {
				row = append(row, "")
				continue
			}
			row = append(row, figure(v, s.Unit))
		}
		g.rows = append(g.rows, row)
	}
	return section{title: "How long each step took", detail: true, grid: g}
}

func errorClasses(r reports.Report) section {
	g := &grid{head: []string{"class", "count", "workers", "for example"}, text: []int{0, 3}}
	for _, e := range slices.SortedStableFunc(slices.Values(r.Errors), func(a, b reports.ErrorClass) int { return b.Count - a.Count }) {
		g.rows = append(g.rows, []string{e.Class, count(e.Count), count(e.Workers), e.Example})
	}
	return section{title: "Errors", grid: g}
}

// lostShown is how many lost workers are listed before the rest is a number.
const lostShown = 10

func lost(r reports.Report) section {
	g := &grid{head: []string{"worker", "step", "class", "at", "what it got"}, text: []int{0, 1, 2, 4}}
	for i, l := range r.Lost {
		if i == lostShown {
			break
		}
		g.rows = append(g.rows, []string{l.Worker, l.Step, l.Class, seconds(l.Seconds), l.Detail})
	}
	s := section{title: "Lost workers", grid: g}
	if more := len(r.Lost) - lostShown; more > 0 {
		s.notes = []string{fmt.Sprintf("the first %d, and %d more in the JSON report", lostShown, more)}
	}
	return s
}

func resources(r reports.Report) section {
	hosts := slices.ContainsFunc(r.Resources, func(x reports.Resource) bool { return x.Host != "" && x.Host != r.Env.Hostname })
	g := &grid{head: []string{"process", "RSS peak", "per worker", "CPU", "fds peak", "of", "per worker"}, text: []int{0}}
	for _, x := range r.Resources {
		name := x.Process
		if hosts && x.Host != "" {
			name += " on " + x.Host
		}
		rss, fds, limit := "", "", ""
		if x.RSSPerWorkerBytes != nil {
			rss = size(*x.RSSPerWorkerBytes)
		}
		if x.FDsPerWorker != nil {
			fds = digits(*x.FDsPerWorker)
		}
		switch {
		case x.FDLimit < 0:
			limit = "unlimited"
		case x.FDLimit > 0:
			limit = count(x.FDLimit)
		}
		g.rows = append(g.rows, []string{name, size(float64(x.RSSPeakBytes)), rss, seconds(x.CPUSeconds), count(x.FDsPeak), limit, fds})
	}
	s := section{title: "Resources", detail: true, grid: g}
	if b := r.Bytes; b != nil {
		s.notes = []string{fmt.Sprintf("%s sent to the server, %s received", size(float64(b.Sent)), size(float64(b.Received)))}
	}
	return s
}

func generator(r reports.Report) section {
	g := r.Generator
	if g == nil {
		return section{}
	}
	ports := "unknown"
	if g.PortsLeft >= 0 {
		ports = count(g.PortsLeft)
	}
	state := "it kept up"
	if g.Refused != "" {
		state = "it did not keep up: " + g.Refused
	}
	return section{title: "Health of the load generator", detail: true, notes: []string{state}, grid: &grid{
		head: []string{"figure", "value"},
		rows: [][]string{
			{"lag from due to sent", fmt.Sprintf("p50 %s, p99 %s, max %s", seconds(g.LagP50Seconds), seconds(g.LagP99Seconds), seconds(g.LagMaxSeconds))},
			{"CPU", percent(g.CPUShare) + " of all cores"},
			{"garbage collection", fmt.Sprintf("%s of its CPU, pauses %s in all", percent(g.GCCPUShare), seconds(g.GCPauseSeconds))},
			{"left at the worst", fmt.Sprintf("%s descriptors, %s ports", count(g.FDsLeft), ports)},
			{"idle connections redialled", count(g.Reconnects)},
		},
		text: []int{0, 1},
	}}
}

func shards(r reports.Report) section {
	g := &grid{head: []string{"shard", "host", "started", "took", "CPUs", "kernel"}, text: []int{1, 2, 5}}
	for i, e := range r.Shards {
		g.rows = append(g.rows, []string{count(i + 1), e.Hostname, e.Started, seconds(e.Seconds), count(e.CPUs), e.Kernel})
	}
	return section{title: "Shards", detail: true, grid: g}
}

func environment(r reports.Report) section {
	e := r.Env
	s := section{title: "Made by", detail: true}
	var host []string
	for _, v := range []string{e.Hostname, e.Kernel, e.CPU} {
		if v != "" {
			host = append(host, v)
		}
	}
	if e.CPUs > 0 {
		host = append(host, plural(e.CPUs, "CPU")+" usable")
	}
	s.notes = append(s.notes, strings.Join(slices.DeleteFunc([]string{e.Tool, e.Go, strings.Join(host, ", ")}, func(v string) bool { return v == "" }), "; "))
	if e.Started != "" {
		s.notes = append(s.notes, "started "+e.Started+", took "+seconds(e.Seconds))
	}
	if e.Target != "" {
		s.notes = append(s.notes, "target "+e.Target)
	}
	return s
}

func again(r reports.Report) section {
	s := section{title: "To run it again"}
	if len(r.Env.Command) > 0 {
		s.commands = append(s.commands, shell(r.Env.Command))
	}
	for _, e := range r.Shards {
		if len(e.Command) > 0 {
			s.commands = append(s.commands, shell(e.Command))
		}
	}
	return s
}
