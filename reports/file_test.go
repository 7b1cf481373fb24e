package reports

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// valid is a small report with every kind of value in it.
func valid() Report {
	var h Histogram
	h.Record(3 * time.Millisecond)
	h.Record(7 * time.Second)
	return Report{
		Schema: Schema, Kind: KindSimulate, Verdict: VerdictFail, Reasons: []string{"1 worker was lost"},
		Env:       Env{Tool: "fltool v0", Target: "http://t", Started: "2026-03-01T12:00:00Z", Seconds: 9, Hostname: "a"},
		Demand:    Demand{Workers: 2, Rounds: 1},
		Shard:     &Shard{Index: 1, Count: 2},
		Held:      &Held{Asked: 1, Peak: 1, LostCauses: map[string]int{"reset": 1}},
		Rounds:    []Round{{Number: 1, Version: "0", Workers: 1, Seconds: .5}},
		Series:    []Series{h.Series("poll")},
		Timeline:  []Tick{{T: 1, Held: 1, Sent: 2}},
		Errors:    []ErrorClass{{Class: "reset", Count: 1, Workers: 1, Example: "worker 1"}},
		Generator: &Generator{FDsLeft: 9, PortsLeft: -1},
	}
}

func encode(t testing.TB, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDecode(t *testing.T) {
	text := encode(t, valid())
	got, err := Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(text, encode(t, got)); d != "" {
		t.Error(d)
	}
}

func TestDecodeRefuses(t *testing.T) {
	text := encode(t, valid())
	with := func(old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in the report", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	histogram := text[strings.Index(text, `"histogram": "`)+len(`"histogram": "`):]
	histogram = histogram[:strings.Index(histogram, `"`)]
	for name, c := range map[string]struct{ text, want string }{
		"nothing":              {"", "it is empty"},
		"blanks":               {" \n", "it is empty"},
		"half":                 {text[:len(text)/2], "half a report"},
		"garbage behind":       {text + "x", "after top-level value"},
		"another report":       {text + text, "after top-level value"},
		"no object":            {"[]", "not a report: it is a JSON array, no object"},
		"text for a number":    {with(`"rounds": 1`, `"rounds": "one"`), "demand.rounds can't be a string"},
		"fewer than none":      {with(`"workers": 2`, `"workers": -2`), "less than no workers"},
		"null":                 {"null", "it names no schema"},
		"no schema":            {"{}", "it names no schema"},
		"another version":      {with(Schema, "fltool.report/v2"), `its schema is "fltool.report/v2"`},
		"unknown field":        {with(`"kind"`, `"colour": 1, "kind"`), `unknown field "colour"`},
		"unknown kind":         {with("simulate", "stimulate"), `unknown kind "stimulate"`},
		"unknown verdict":      {with(`"fail"`, `"fine"`), `unknown verdict "fine"`},
		"no verdict":           {with(`"fail"`, `""`), `unknown verdict ""`},
		"NaN":                  {with(`"seconds": 9`, `"seconds": NaN`), "line 12: NaN and infinity are no figures"},
		"minus infinity":       {with(`"seconds": 9`, `"seconds": -Infinity`), "NaN and infinity are no figures"},
		"too large a number":   {with(`"seconds": 9`, `"seconds": 1e999`), "1e999"},
		"endless":              {with(`"seconds": 9`, `"seconds": 1e18`), "a run of 1e+18 s"},
		"negative time":        {with(`"seconds": 9`, `"seconds": -1`), "a run of -1 s"},
		"tick out of range":    {with(`"t": 1`, `"t": 1e300`), "a tick of the timeline"},
		"start":                {with("2026-03-01T12", "yesterday"), "is no RFC 3339 time"},
		"shard 0":              {with(`"index": 1`, `"index": 0`), "shard 0 of 2"},
		"shard 3 of 2":         {with(`"index": 1`, `"index": 3`), "shard 3 of 2"},
		"too many shards":      {with(`"count": 2`, `"count": 1025`), "a run has 1 to 1024 shards"},
		"count and histogram":  {with(`"count": 2,`+"\n      \"p50\"", `"count": 3, "p50"`), `series "poll" counts 3 and its histogram 2`},
		"no base64":            {with(histogram, "%"), "histogram: illegal base64"},
		"half a histogram":     {with(histogram, histogram[:20]), "histogram: "},
		"pass without samples": {`{"schema": "fltool.report/v1", "kind": "simulate", "verdict": "pass", "env": {}, "demand": {}}`, "nothing was measured"},
		"many series":          {with(`"series": [`, `"series": [`+strings.Repeat("{},", maxSeries)), "257 series"},
		"many findings":        {with(`"kind"`, `"findings": [`+strings.Repeat("{},", maxFindings)+`{}], "kind"`), "10001 findings"},
		"many values":          {with(`"kind"`, `"lost": [`+strings.Repeat("{},", maxCommas)+`{}], "kind"`), "more values"},
		"too large":            {with(`"kind"`, strings.Repeat(" ", MaxFileBytes)+`"kind"`), "larger than the 64 MiB"},
		"deep":                 {strings.Repeat("[", 20000), "line 1: invalid character '[' exceeded max depth"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Report){
		"no schema":  func(r *Report) { r.Schema = "" },
		"no verdict": func(r *Report) { r.Verdict = "" },
		"NaN":        func(r *Report) { r.Rounds[0].Seconds = math.NaN() },
	} {
		r := valid()
		spoil(&r)
		if err := Encode(new(bytes.Buffer), r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.json")
	want := valid()
	for range 2 { // the second replaces the first
		if err := WriteFile(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(encode(t, want), encode(t, got)); d != "" {
		t.Error(d)
	}
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink("r.json", link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, want); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	onlyFiles(t, dir, "link.json", "r.json")
	want.Kind = KindPreflight
	private := filepath.Join(dir, "preflight.json")
	if err := WriteFile(private, want); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(private); err != nil || info.Mode() != os.FileMode(Private) {
		t.Errorf("a preflight's mode is %v, %v", info.Mode(), err)
	}
}

func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.json")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	spoiled := valid()
	spoiled.Rounds[0].Seconds = math.Inf(1)
	if err := WriteFile(path, spoiled); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "r.json"), valid()); err == nil {
		t.Error("no error")
	}
	if err := WriteFile("/dev/null", valid()); err == nil || !strings.Contains(err.Error(), "/dev/null: it is not a regular file") {
		t.Error(err)
	}
	onlyFiles(t, dir, "r.json")

	// A rename that fails leaves nothing: a directory with something in it is in the way.
	if err := replaceFileOver(t, dir); err == nil {
		t.Error("no error")
	}
	onlyFiles(t, dir, "dir", "r.json")
}

func replaceFileOver(t *testing.T, dir string) error {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "dir", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	return WriteFile(filepath.Join(dir, "dir"), valid())
}

func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path+": it is empty") {
		t.Error(err)
	}
}

// What Decode takes, it writes, and takes again.
func FuzzDecode(f *testing.F) {
	text := encode(f, valid())
	f.Add([]byte(text))
	f.Add([]byte(text[:len(text)/2]))
	f.Add([]byte(strings.Replace(text, Schema, "fltool.report/v2", 1)))
	f.Add([]byte(`{"schema": "fltool.report/v1", "kind": "preflight", "verdict": "refused", "findings": [{"check": "a", "workers": 3}], "capacity": {"ledger": [{"limit": "a"}]}}`))
	f.Add([]byte(`{"schema": "fltool.report/v1", "verdict": NaN}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := Decode(strings.NewReader(encode(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(encode(t, r), encode(t, again)); d != "" {
			t.Error(d)
		}
		// Whatever shard was read, adding it up panics nowhere.
		if r.Shard != nil {
			other := r
			other.Shard = &Shard{Index: r.Shard.Index%r.Shard.Count + 1, Count: r.Shard.Count}
			_, _ = Merge([]Report{r, other}) // refusing is fine
		}
	})
}

func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	if err := CheckFile(filepath.Join(dir, "report.json")); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for _, path := range []string{filepath.Join(dir, "missing", "report.json"), dir, os.DevNull} {
		if err := CheckFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
