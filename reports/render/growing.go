package render

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/markup"
)

//go:embed growing.js
var growing string

// growingPolicy lets a page run the script above and none else, and ask its own server
// alone.
var growingPolicy = sync.OnceValue(func() markup.HTML {
	sum := sha256.Sum256([]byte(growing))
	return markup.HTML("; connect-src 'self'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
})

// GrowingPage is a page for a report that is not whole yet. Its server sends what the page
// has to show as server-sent events of its address events, each a body: of the type growing,
// and at last of the type final. Without scripts it asks again every few seconds. With the
// final body it asks for no more.
func GrowingPage(title, body string, final bool) string {
	var p markup.Page
	policy, script := growingPolicy(), markup.HTML("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n<script>"+growing+"</script>\n")
	if final {
		policy, script = "", ""
	}
	putHead(&p, title, policy, script)
	p.Put("%s</body>\n</html>\n", markup.HTML(body))
	return string(p.HTML())
}

// GrowingBody is what the page has of a run that goes on, of a command: the report so far,
// with how far it has come in the place of a verdict.
func GrowingBody(command string, soFar reports.Report, now reports.Progress) string {
	d := document{word: "RUNNING", verdict: "running", headline: progressHeadline(now)}
	if soFar.Schema != "" {
		soFar.Env.Seconds = 0 // the heading tells
		soFar.Rounds = slices.DeleteFunc(slices.Clone(soFar.Rounds), func(x reports.Round) bool { return x.Open })
		of := onPage(soFar)
		d.facts, d.sections = of.facts, of.sections
	}
	var p markup.Page
	putBody(&p, d, command+", while it runs", nil)
	return string(p.HTML())
}

// FinalBody is what the page has in the end: that of the report's own page.
func FinalBody(r reports.Report) string {
	var p markup.Page
	putBody(&p, onPage(r), string(r.Kind), way(r))
	return string(p.HTML())
}

// progressHeadline says how far a run has come.
func progressHeadline(p reports.Progress) string {
	if p.Stage == "" {
		return "nothing has begun yet"
	}
	parts := []string{stageWords[p.Stage], fmt.Sprintf("%s of %s held", count(p.Held), Plural(p.Workers, "worker"))}
	if p.Load != "" {
		parts = append([]string{p.Load}, parts...)
	}
	if p.Rounds > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s over", p.Round, Plural(p.Rounds, "round")))
	}
	if p.Lost > 0 {
		parts = append(parts, count(p.Lost)+" lost")
	}
	if p.Errors > 0 {
		parts = append(parts, Plural(int(p.Errors), "error"))
	}
	s := fmt.Sprintf("%s; %.0f s so far", strings.Join(parts, ", "), p.Seconds)
	if p.Left >= 1 {
		s += fmt.Sprintf(", about %.0f s left", p.Left)
	}
	return s
}

var stageWords = map[string]string{
	reports.StageArriving:  "workers arrive",
	reports.StageRounds:    "rounds are played",
	reports.StageGathering: "workers gather to be held",
	reports.StageHolding:   "polls are held",
	reports.StageOver:      "over, and being judged",
}
