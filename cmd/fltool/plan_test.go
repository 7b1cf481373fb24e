package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fltool/fltool/loadgen"
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
	if f.Name == planStages {
		return "hold:3,for=7s"
	}
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
			if slices.Contains([]string{planCommand, planArgs, stageFor}, f.Name) {
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
			if len(p.flags) != 1 || p.flags[0].name != f.Name || resolved(p.flags[0].values[0]) != sampleOf(f) {
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
						argv = append(argv, "--"+f.name+"="+resolved(v))
					}
				}
				for _, a := range p.args {
					argv = append(argv, resolved(a))
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

// A stage is what --stages takes, and what plan prints of it is the same again.
func TestStages(t *testing.T) {
	for text, want := range map[string]string{
		"{hold: 10, for: 5m}":                              "hold:10,for=5m",
		"{for: 5s, ramp: 10}":                              "ramp:10,for=5s",
		"{steps: {from: 10, to: 25, by: 10}, for: 1s}":     "steps:from=10,to=25,by=10,for=1s",
		"{wave: {from: 1, to: 9, times: 2}, for: 1s}":      "wave:from=1,to=9,times=2,for=1s",
		"{churn: {workers: 9, leave: 0.5}, for: 1s}":       "churn:workers=9,leave=0.5,for=1s",
		"hold:10,for=5m":                                   "hold:10,for=5m",
		"{hold: '${PLAN_X}', for: 5m}":                     "hold:7,for=5m",
		"storm":                                            "2:5: stages: storm: want one of hold,",
		"{hold: 10, for: 5m, think: 3s}":                   "2:25: think: it is none of a stage's",
		"{hold: 10, for: 5m, thinks: 3s}":                  "2:25: hold: thinks: no such part; there are workers, for",
		"{hold: 10, ramp: 5, for: 5m}":                     "2:16: hold and ramp are two stages",
		"{workers: 5, scenario: storm}":                    "2:5: a stage has one of hold, ramp, spike, steps, wave and churn",
		"{steps: {from: 10, to: 5, by: 1}, for: 1s}":       "2:35: steps: by: want from, up to to",
		"{steps: {from: 1, to: 10}, for: 1s}":              "2:6: steps: by: it is missing; there are from, to, by, for",
		"{steps: {from: 1, to: 9, by: 1, at: 2}, for: 1s}": "2:37: steps: at: no such part; there are from",
		"{wave: {from: 1, to: 9, times: 1000}, for: 1s}":   "2:36: wave: times: \"1000\": want a number from 1 to 50",
		"{hold: -1, for: 1s}":                              "2:12: hold: workers: \"-1\": want a number from 0 to 10000000",
		"{hold: 10, for: 0s}":                              "2:21: hold: for: \"0s\": want a time",
		"{hold: 10}":                                       "2:6: hold: for: it is missing",
		"{for: 1s}":                                        "2:5: a stage has one of",
		"{hold: 10, for: [1s]}":                            "2:21: want one value",
		"{hold: [10], for: 1s}":                            "2:12: want one value",
		"[hold]":                                           "2:5: a stage is keys with values",
	} {
		t.Setenv("PLAN_X", "7")
		p, err := parsePlan("plan.yaml", []byte("stages:\n  - "+text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "plan.yaml:"+want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			continue
		}
		got := p.flags[0].values
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
		printed, err := planText([]string{defaultCommand, "--stages=" + got[0]})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := parsePlan("plan.yaml", []byte(printed)); err != nil || !slices.Equal(p.flags[0].values, got) {
			t.Errorf("%s is printed as %s: %v", text, printed, err)
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
		"a: [1":                  "plan.yaml:1:4: no YAML: did not find expected ',' or ']'",
		"a: b: c":                "plan.yaml:1:5: no YAML: mapping values are not allowed in this context",
		"hold: ${PLAN_NOPE}":     "plan.yaml:1:7: ${PLAN_NOPE}: the environment has no such variable",
		"hold: 1d":               "plan.yaml:1:7: hold: \"1d\": want a time such as 90s, 10m or 6h",
		"command: nosuch":        "plan.yaml:1:10: command: \"nosuch\" is none that a plan may have",
		"command: run":           "plan.yaml:1:10: command: \"run\" is none that a plan may have",
		"command: preflight\nstages: [{hold: 1, for: 1s}]": "plan.yaml:2:1: stages is no key of a plan of preflight",
		"stages: []":                  "plan.yaml:1:9: stages: want a list of at least one",
		"stages: {hold: 5}":           "plan.yaml:1:9: stages: want a list of at least one",
		"workers: 1\n---\nworkers: 2": "plan.yaml:2:1: it holds more than one document",
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
	p, err := parsePlan("plan.yaml", []byte("keys: x${PLAN_X}y$${PLAN_X}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resolved(p.flags[0].values[0]), "xa${PLAN_Y}$y${PLAN_X}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The page on plans says what there is beside flags.
func TestPlanIsDocumented(t *testing.T) {
	page := readFile(t, "../../docs/plan.md")
	for _, key := range slices.Concat([]string{planCommand, planArgs, planStages, stageFor}, loadgen.StageShapes()) {
		if !strings.Contains(page, "`"+key) {
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
		p, err := parsePlan("p", data)
		if err != nil {
			return
		}
		for _, f := range p.flags {
			for _, v := range f.values {
				_ = stageYAML(v)
			}
		}
	})
}
