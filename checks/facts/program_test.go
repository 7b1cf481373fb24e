package facts

import (
	"slices"
	"testing"
)

func TestSplitWords(t *testing.T) {
	for s, want := range map[string][]string{
		"":                   nil,
		" a  b\t":            {"a", "b"},
		`'a b' "c \"d" e\ f`: {"a b", `c "d`, "e f"},
		`a''b`:               {"ab"},
		`''`:                 {""},
	} {
		got, err := SplitWords(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", s, got, err, want)
		}
	}
	for _, bad := range []string{`'`, `"a`, `a\`} {
		if got, err := SplitWords(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	f.Add("A=b\n#x\nGUNICORN_CMD_ARGS='--timeout 5'\nWEB_CONCURRENCY=\"\n")
	f.Fuzz(func(t *testing.T, text string) { pickEnv(parseEnvFile(text), "f", []string{"A", "WEB_CONCURRENCY"}) })
}
