package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// plannable are the commands that a plan may have, by their words.
func plannable() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		name := strings.TrimPrefix(cmd.CommandPath(), "fltool ")
		if planned(strings.Fields(name)) != nil && !cmd.Hidden {
			all[name] = cmd
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
	return all
}

// sampleOf is a value that a flag takes.
func sampleOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true"
	case "int", "int64", "uint64", "float64", "intSlice":
		return "3"
	case "stringSlice":
		return "errors"
	case "duration":
		return "7s"
	case "size":
		return "2MB"
	}
	return "some: text, #1 ${x} 'y' \"z\""
}

// Every flag of every command has its key, and no key of the plan's own is a flag.
func TestEveryFlagIsAKey(t *testing.T) {
	total := 0
	for name, cmd := range plannable() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if slices.Contains([]string{planCommand, planArgs, planStages, "for"}, f.Name) {
				t.Errorf("%s has the flag --%s, which a plan means otherwise", name, f.Name)
			}
			if f.Name == "help" {
				return
			}
			total++
			args := append(strings.Fields(name), "--"+f.Name+"="+sampleOf(f))
			text, err := planText(args)
			if err != nil {
				t.Errorf("%v: %v", args, err)
				return
			}
			p, err := parsePlan("plan.yaml", []byte(text))
			if err != nil {
				t.Errorf("%v: %v\n%s", args, err, text)
				return
			}
			if len(p.flags) != 1 || p.flags[0].name != f.Name || resolved(p.flags[0].values[0], 1) != sampleOf(f) {
				t.Errorf("%v became %v", args, p.flags)
			}
		})
	}
	if total < 100 {
		t.Errorf("only %d flags", total)
	}
}

// What plan prints of the examples of --help is, once read, the same command line.
func TestPlanOfExamples(t *testing.T) {
	total := 0
	for name, cmd := range plannable() {
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", "")) {
			for _, args := range fltoolIn(strings.TrimSpace(line)) {
				words := strings.Fields(name)
				if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
					continue
				}
				total++
				text, err := planText(args)
				if err != nil {
					t.Errorf("%v: %v", args, err)
					continue
				}
				p, err := parsePlan("plan.yaml", []byte(text))
				if err != nil {
					t.Errorf("%v: %v\n%s", args, err, text)
					continue
				}
				want, got := planned(words), planned(p.command)
				argv := []string{}
				for _, f := range p.flags {
					for _, v := range f.values {
						argv = append(argv, "--"+f.name+"="+resolved(v, 1))
					}
				}
				for _, a := range p.args {
					argv = append(argv, resolved(a, 1))
				}
				if err := errors.Join(want.ParseFlags(args[len(words):]), got.ParseFlags(argv)); err != nil {
					t.Fatal(err)
				}
				if w, g := commandLine(want), commandLine(got); !slices.Equal(slices.Sorted(slices.Values(w)), slices.Sorted(slices.Values(g))) || !slices.Equal(want.Flags().Args(), got.Flags().Args()) || want.ArgsLenAtDash() != got.ArgsLenAtDash() {
					t.Errorf("%v became %v\n%s", append(w, want.Flags().Args()...), append(g, got.Flags().Args()...), text)
				}
			}
		}
	}
	if total < 20 {
		t.Errorf("only %d examples", total)
	}
}

func TestStages(t *testing.T) {
	for text, want := range map[string]string{
		"{hold: 10, for: 5m}":                                  "--workers=10 --hold=5m0s",
		"{ramp: 10, for: 5s}":                                  "--workers=10 --ramp=5s --hold=1s",
		"{spike: 10, for: 5s}":                                 "--workers=10 --ramp=0 --hold=5s",
		"{steps: {from: 10, to: 25, by: 10}, for: 1s}":         "--workers=10 --hold=1s; --workers=20 --hold=1s; --workers=25 --hold=1s",
		"{wave: {from: 1, to: 9, times: 2}, for: 1s}":          "--workers=1 --hold=1s; --workers=9 --hold=1s; --workers=1 --hold=1s; --workers=9 --hold=1s; --workers=1 --hold=1s",
		"{ramp: 2s, hold: 10, for: 5m}":                        "--workers=10 --hold=5m0s --ramp=2s",
		"{hold: 10, for: 5m, think: 3s, slo: [held>=10, a]}":   "--workers=10 --hold=5m0s --think=3s --slo=held>=10 --slo=a",
		"{workers: 5, scenario: storm}":                        "--workers=5 --scenario=storm",
		"{steps: {from: 10, to: 5, by: 1}, for: 1s}":           "",
		"{steps: {from: 1, to: 100000, by: 1}, for: 1s}":       "",
		"{steps: {from: 1, to: 10}, for: 1s}":                  "",
		"{steps: {from: 1, to: 10, by: 1, times: 2}, for: 1s}": "",
		"{wave: {from: 1, to: 9, times: 1000}, for: 1s}":       "",
		"{hold: 0, for: 1s}":                                   "",
		"{hold: 10, for: 0s}":                                  "",
		"{for: 1s}":                                            "",
		"{hold: 10, for: [1s]}":                                "",
		"storm":                                                "",
	} {
		p, err := parsePlan("plan.yaml", []byte("stages:\n  - "+text))
		var stages []string
		for i, s := range p.stages {
			stages = append(stages, strings.SplitN(stageTitle(i+1, len(p.stages), s), ": ", 2)[1])
		}
		if got := strings.Join(stages, "; "); err == nil && got != want || (err == nil) != (want != "") {
			t.Errorf("%s is %q, want %q: %v", text, got, want, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "plan.yaml:2:") {
			t.Errorf("%s: no place: %v", text, err)
		}
	}
}

// Whatever is wrong is said in one line, with the place in the file.
func TestPlanErrors(t *testing.T) {
	t.Setenv("PLAN_X", "5")
	for text, want := range map[string]string{
		"workers: x":             "plan.yaml:1:10: workers: \"x\": want a whole number",
		"workers: 5\nworker: 1":  "plan.yaml:2:1: worker is no key of a plan of simulate",
		"workers: 1\nworkers: 2": "plan.yaml:2:1: workers is there twice",
		"workers: [1, 2]":        "plan.yaml:1:10: workers: it may be given only once",
		"workers:":               "plan.yaml:1:9: a value is missing",
		"slo: []":                "plan.yaml:1:6: a value is missing",
		"slo: {a: b}":            "plan.yaml:1:6: want one value, not a list and no keys",
		"a: [1":                  "plan.yaml:1: no YAML: did not find expected ',' or ']'",
		"a: b: c":                "plan.yaml: no YAML: mapping values are not allowed in this context",
		"hold: ${PLAN_NOPE}":     "plan.yaml:1:7: ${PLAN_NOPE}: the environment has no such variable",
		"hold: 1d":               "plan.yaml:1:7: hold: \"1d\": want a time such as 90s, 10m or 6h",
		"command: nosuch":        "plan.yaml:1:10: command: \"nosuch\" is none that a plan may have",
		"command: run":           "plan.yaml:1:10: command: \"run\" is none that a plan may have",
		"command: preflight\nstages: [{hold: 1, for: 1s}]": "plan.yaml:2:11: hold: only simulate has such a stage",
		"stages: []":                  "plan.yaml:1:9: stages: want a list of at least one",
		"workers: 1\n---\nworkers: 2": "plan.yaml: it holds more than one document",
		"- a":                         "plan.yaml:1:1: a plan is keys with values",
		"":                            "plan.yaml: it is empty",
		"# only a comment":            "plan.yaml: it is empty",
		"? [a]\n: b":                  "plan.yaml:1:3: a key must be a word",
		"help: true":                  "plan.yaml:1:1: help is no key",
		"workers: ${PLAN_X}":          "",
		"a: &x 5\nworkers: *x":        "plan.yaml:1:1: a is no key",
	} {
		_, err := parsePlan("plan.yaml", []byte(text))
		switch {
		case err == nil && want == "":
		case err == nil || want == "" || !strings.HasPrefix(err.Error(), want):
			t.Errorf("%q: %v, want %s", text, err, want)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%q: %q has several lines", text, err)
		default:
			var exit *exitError
			if !errors.As(err, &exit) || exit.code != exitUsage {
				t.Errorf("%q: %v is no error of usage", text, err)
			}
		}
	}
}

// What the environment has stands for itself, whatever it is.
func TestPlanVariables(t *testing.T) {
	t.Setenv("PLAN_X", "a${PLAN_Y}$")
	p, err := parsePlan("plan.yaml", []byte("keys: x${PLAN_X}y$${PLAN_X}-${STAGE}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resolved(p.flags[0].values[0], 7), "xa${PLAN_Y}$y${PLAN_X}-7"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The page on plans says what there is beside flags.
func TestPlanIsDocumented(t *testing.T) {
	page := readFile(t, "../../docs/plan.md")
	for _, key := range slices.Concat([]string{planCommand, planArgs, planStages, "for", stageVariable}, slices.Collect(maps.Keys(shapes))) {
		if !strings.Contains(page, "`"+key) && !strings.Contains(page, "${"+key+"}") {
			t.Errorf("docs/plan.md says nothing of %s", key)
		}
	}
}

// A plan never makes fltool panic, and what plan prints it reads.
func FuzzPlan(f *testing.F) {
	for _, text := range []string{"workers: 5\nslo: [a<1]", "stages: [{hold: 1, for: 1s}, {wave: {from: 1, to: 2, times: 2}, for: 1s}]", "a: &b [*b]", "<<: {a: b}", "args: -- x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parsePlan("p", data); err == nil && p.keepsApart(2, nil) == nil {
			for i, s := range p.stages {
				_ = stageTitle(i, len(p.stages), s)
			}
		}
	})
}
