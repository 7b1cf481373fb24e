package render

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// What does not apply is named where it is little, and else counted, so that the
// answer stays on one screen.
func TestNotApplicable(t *testing.T) {
	for n, want := range map[int]string{
		0:  "",
		2:  "n/a    nginx/0, nginx/1\n",
		30: "n/a    30 checks: 30 of nginx; --format json names them and says why\n",
	} {
		var all []reports.Finding
		for i := range n {
			all = append(all, reports.Finding{Check: fmt.Sprintf("nginx/%d", i), Status: reports.StatusNA})
		}
		p := &preflightWriter{}
		p.notApplicable(all)
		if got := p.b.String(); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// A host without a server is judged, and the answer says that this was all.
func TestNoServer(t *testing.T) {
	for status, want := range map[reports.Status]bool{reports.StatusWarn: true, reports.StatusPass: false} {
		r := reports.Report{Verdict: reports.VerdictPass, Findings: []reports.Finding{{Check: "app/found", Status: status}}}
		var b bytes.Buffer
		if err := (Options{}).preflightTable(&b, r); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "No server runs yet"); got != want {
			t.Errorf("%s: %s", status, b.String())
		}
	}
}
