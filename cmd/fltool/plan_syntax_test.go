package main

import (
	"fmt"
	"strings"
	"testing"
)

// Where a file is no YAML is said with line and column.
func TestPlanSyntax(t *testing.T) {
	for text, want := range map[string]string{
		"a: b: c":                                    "1:5: no YAML: mapping values are not allowed in this context",
		"workers: 5\n  rounds: 3":                    "2:9: no YAML: mapping values are not allowed in this context",
		"workers: 5\nslo: [errors<1%":                "2:6: no YAML: did not find expected ',' or ']'",
		"workers: 5\nslo: [errors<1%\nrounds: 3\n":   "2:6: no YAML: did not find expected ',' or ']'",
		"stages:\n  - {hold: 5, for: 1m\n  - x: 1\n": "2:5: no YAML: did not find expected ',' or '}'",
		"slo: [a,\n  b] c\nrounds: 3":                "2:6: no YAML",
		"slo: {a: [1, 2}":                            "1:6: no YAML: did not find expected ',' or ']'",
		"target: \"http://x\nworkers: 5\n":           "1:9: no YAML: found unexpected end of stream",
		"a:\n\tb: 1":                                 "2:1: no YAML: found character that cannot start any token",
		"slo:\n    - a\n  - b\n":                     "3:3: no YAML",
		"a:\n    b: 1\n  c: 2\n":                     "3:3: no YAML",
		"- a\nb: 1\n":                                "2:1: no YAML: did not find expected '-' indicator",
		"a: 1\nb: *x\nc: 2":                          "2:4: no YAML: unknown anchor 'x' referenced",
		"grüße: 1\nkö: [ß, ä":                        "2:5: no YAML: did not find expected ',' or ']'",
		"workers: 5\nkeys: a\x01b":                   "2:8: no YAML: control characters are not allowed",
		"workers: 5\nkeys: a\xffb":                   "2:8: no YAML: invalid leading UTF-8 octet",
		"a: @x":                                      "1:4: no YAML: found character that cannot start any token",
		"a: 1\n---\nb: [":                            "3:4: no YAML",
		"%YAML x\n---\na: 1":                         "1:1: no YAML: did not find expected version number",
		"a: |x\n  b":                                 "1:5: no YAML: did not find expected comment or line break",
	} {
		_, err := parsePlan("plan.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "plan.yaml:"+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// A place is found in a large file too, if only how far it was read.
func TestPlanSyntaxOfMuch(t *testing.T) {
	lines := strings.Repeat("slo: [a, b, c, d, e, f]\n", maxPlan/30)
	for text, line := range map[string]int{
		lines + "a: b: c\n" + lines: strings.Count(lines, "\n") + 1,
		"a: [\n" + lines:            0,
	} {
		at := placeOf([]byte(text), syntaxEnd([]byte(text)))
		if line > 0 && at != (place{line, 5}) || at.line < 1 || at.column < 1 {
			t.Errorf("%v, want line %d", at, line)
		}
	}
	if at := fmt.Sprint(placeOf([]byte("ab\nä"), 99)); at != "{2 2}" {
		t.Errorf("the end is at %s", at)
	}
}
