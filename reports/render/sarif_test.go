package render

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fltool/fltool/reports"
)

// What is written is SARIF by its own schema, and says what the findings say.
func TestSARIFIsValid(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range samples() {
		var b bytes.Buffer
		if err := (Style{}).SARIF(&b, r); err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var back sarifLog
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		shown := slices.DeleteFunc(sarifFindings(r), func(f reports.Finding) bool {
			return f.Status == reports.StatusPass || f.Status == reports.StatusNA
		})
		if few := map[string]int{"preflight": 6, "hosts": 2, "drift": 1}[name]; few > 0 && len(shown) != few {
			t.Errorf("%s: %d findings, want %d", name, len(shown), few)
		}
		if len(back.Runs) != 1 || len(back.Runs[0].Results) != len(shown) {
			t.Fatalf("%s: %d findings are to be shown: %s", name, len(shown), b.String())
		}
		rules := back.Runs[0].Tool.Driver.Rules
		for i, got := range back.Runs[0].Results {
			if got.RuleID != shown[i].Check || rules[got.RuleIndex].ID != got.RuleID {
				t.Errorf("%s: %s has the rule %s, and by its number %s", name, shown[i].Check, got.RuleID, rules[got.RuleIndex].ID)
			}
		}
	}
}

// The schema refuses what is no SARIF, so that the test above can fail.
func TestSARIFSchemaRefuses(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"version": "2.1.0"}`,
		`{"version": "2.1.0", "runs": [{"tool": {"driver": {}}}]}`,
		`{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {"text": "y"}, "level": "bad"}]}]}`,
	} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(document) == nil {
			t.Errorf("it takes %s", text)
		}
	}
}

type place struct {
	uri  string
	line int
}

// What is in the repository is named from its root, wherever fltool runs.
func TestSARIFInRepository(t *testing.T) {
	o := Style{Repository: "/home/me/fl", Dir: "/home/me/fl/deploy"}
	for source, want := range map[string]place{
		"fl.conf:3":                 {"deploy/fl.conf", 3},
		"../nginx/site.conf:4":      {"nginx/site.conf", 4},
		"/home/me/fl/app/fl.conf:5": {"app/fl.conf", 5},
		"/home/me/flat/fl.conf:6":   {"file:///home/me/flat/fl.conf", 6},
		"/etc/nginx/nginx.conf:7":   {"file:///etc/nginx/nginx.conf", 7},
		"../../elsewhere/fl.conf:8": {"../../elsewhere/fl.conf", 8},
	} {
		if uri, line, ok := o.sarifPlace(source); uri != want.uri || line != want.line || !ok {
			t.Errorf("%q is at %q line %d, %v; want %v", source, uri, line, ok, want)
		}
	}
}

func TestSARIFPlace(t *testing.T) {
	for source, want := range map[string]place{
		"/etc/nginx/nginx.conf:7":          {"file:///etc/nginx/nginx.conf", 7},
		"deploy/nginx.conf:12":             {"deploy/nginx.conf", 12},
		"deploy/my site.conf:12":           {"", 0},
		"nginx.conf:12 (built-in default)": {"nginx.conf", 12},
		"/proc/sys/net/core/somaxconn":     {"file:///proc/sys/net/core/somaxconn", 0},
		"systemd's default":                {"", 0},
		"--lb":                             {"", 0},
		"":                                 {"", 0},
	} {
		uri, line, ok := Style{}.sarifPlace(source)
		if uri != want.uri || line != want.line || ok != (want.uri != "") {
			t.Errorf("%q is at %q line %d, %v", source, uri, line, ok)
		}
	}
}
