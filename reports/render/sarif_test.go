package render

import (
	"bytes"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/fltool/fltool/reports"
)

// What is written is SARIF by its own schema, and says what the findings say.
func TestSARIFIsValid(t *testing.T) {
	for name, r := range samples() {
		var b bytes.Buffer
		if err := SARIF(&b, r); err != nil {
			t.Fatal(err)
		}
		back, err := sarif.FromBytes(b.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := back.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shown := 0
		for _, f := range r.Findings {
			if f.Status != reports.StatusPass && f.Status != reports.StatusNA {
				shown++
			}
		}
		if len(back.Runs) != 1 || len(back.Runs[0].Results) != shown {
			t.Errorf("%s: %d findings are to be shown: %s", name, shown, b.String())
		}
	}
}

func TestSARIFPlace(t *testing.T) {
	for source, want := range map[string]struct {
		uri  string
		line int
	}{
		"/etc/nginx/nginx.conf:7":          {"file:///etc/nginx/nginx.conf", 7},
		"deploy/nginx.conf:12":             {"deploy/nginx.conf", 12},
		"deploy/my site.conf:12":           {"", 0},
		"nginx.conf:12 (built-in default)": {"nginx.conf", 12},
		"/proc/sys/net/core/somaxconn":     {"file:///proc/sys/net/core/somaxconn", 0},
		"systemd's default":                {"", 0},
		"--lb":                             {"", 0},
		"":                                 {"", 0},
	} {
		uri, line, ok := sarifPlace(source)
		if uri != want.uri || line != want.line || ok != (want.uri != "") {
			t.Errorf("%q is at %q line %d, %v", source, uri, line, ok)
		}
	}
}
