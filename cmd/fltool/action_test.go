package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// action is what is read of action.yml.
type action struct {
	Name, Description string
	Branding          map[string]string
	Inputs            map[string]struct {
		Description string
		Default     string
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []actionStep
	}
}

type actionStep struct {
	Name, ID, If, Shell, Run, Uses string
	Env, With                      map[string]string
}

func readAction(t *testing.T) action {
	f, err := os.Open(filepath.Join("..", "..", "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true) // a key that GitHub does not know is a typo
	var a action
	if err := dec.Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

var actionExpression = regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`)

// TestActionForm holds the action to what GitHub demands of a composite one, and
// to being documented.
func TestActionForm(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" {
		t.Errorf("using %q", a.Runs.Using)
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range a.Inputs {
		if in.Description == "" {
			t.Errorf("input %s has no description", name)
		}
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/ci.md says nothing of the input %s", name)
		}
	}
	for _, s := range a.Runs.Steps {
		if (s.Run == "") == (s.Uses == "") || (s.Run != "" && s.Shell == "") {
			t.Errorf("step %q: want uses, or run with a shell", s.Name)
		}
		// An expression in a script would run whatever an input says.
		if actionExpression.MatchString(s.Run) {
			t.Errorf("step %q has an expression in its script", s.Name)
		}
		for _, text := range slices.Concat(slices.Collect(maps.Values(s.Env)), slices.Collect(maps.Values(s.With)), []string{s.If}) {
			for _, m := range regexp.MustCompile(`inputs\.([\w-]+)`).FindAllStringSubmatch(text, -1) {
				if _, known := a.Inputs[m[1]]; !known {
					t.Errorf("step %q asks for the input %s, which there is not", s.Name, m[1])
				}
			}
		}
	}
}

// TestActionSteps runs the action's shell steps as GitHub's runner does: each by
// bash with -e and pipefail, its environment evaluated, its outputs in files.
func TestActionSteps(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fltool, err := exec.LookPath("fltool")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("good.json", runReport(1))
	write("slow.json", runReport(1.3))
	write("canned.sh", `cp "$1" "$3"`)
	store := exec.Command(fltool, "regress", "--baseline", "base", "--store", "--runs", "5", "--", "sh", "canned.sh", "good.json")
	store.Dir = dir
	if out, err := store.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	for name, c := range map[string]struct {
		inputs  map[string]string
		code    int
		summary string
	}{
		"same":         {map[string]string{"baseline": "base", "runs": "5", "commands": "\nsh canned.sh good.json\n"}, 0, "## SAME: "},
		"worse":        {map[string]string{"baseline": "base", "runs": "5", "commands": "sh canned.sh slow.json"}, 1, "server.cpuRatio is worse"},
		"limits":       {map[string]string{"baseline": "base", "runs": "5", "commands": "sh canned.sh slow.json", "limits": "server.cpuRatio=50% bytes=5%"}, 0, "## SAME: "},
		"gate":         {map[string]string{"baseline": "base", "runs": "5", "commands": "sh canned.sh slow.json", "gate": "bytes,errors"}, 0, "## SAME: "},
		"too few":      {map[string]string{"baseline": "base", "runs": "2", "commands": "sh canned.sh good.json"}, 3, "## INCONCLUSIVE: "},
		"too few, ok":  {map[string]string{"baseline": "base", "runs": "2", "commands": "sh canned.sh good.json", "allow-inconclusive": "true"}, 0, "## INCONCLUSIVE: "},
		"no baseline":  {map[string]string{"baseline": "nowhere"}, 3, "read baseline: stat nowhere"},
		"nothing":      {nil, 2, "want --baseline, --baseline-binary, --baseline-command or --history"},
		"history":      {map[string]string{"history": "history.jsonl", "runs": "2", "commands": "sh canned.sh good.json"}, 0, "| errors (rounds) "},
		"one command":  {map[string]string{"baseline-command": "exit 1"}, 2, "--baseline-command needs --server-command"},
		"no server":    {map[string]string{"baseline-command": "exit 1", "server-command": "exit 2", "commands": "fltool simulate --target http://127.0.0.1:1 --unsafe"}, 3, "it ended: exit status 1"},
		"an injection": {map[string]string{"baseline": "base", "runs": "5", "commands": "sh canned.sh good.json$(touch injected) `touch injected`; touch injected"}, 3, "could not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			inputs := map[string]string{"fltool": fltool, "out": "out-" + strings.ReplaceAll(name, " ", "-")}
			maps.Copy(inputs, c.inputs)
			code, summary, _ := runAction(t, bash, dir, inputs)
			if code != c.code || !strings.Contains(summary, c.summary) {
				t.Errorf("exit code %d, want %d; summary:\n%s", code, c.code, summary)
			}
			if _, err := os.Stat(filepath.Join(dir, "injected")); err == nil {
				t.Error("an input was run as a script")
			}
			if c.code < 2 {
				page := "comparison.html"
				if inputs["history"] != "" {
					page = "trend.html"
				}
				if _, err := os.Stat(filepath.Join(dir, inputs["out"], page)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// runReport is the report of a round, for which the server took so many seconds of
// processor time.
func runReport(cpu float64) string {
	return fmt.Sprintf(`{"schema": "fltool.report/v1", "kind": "simulate", "verdict": "pass", "env": {"tool": "fltool"}, "demand": {"workers": 10, "rounds": 1},
 "timeline": [{"t": 1, "held": 10, "sent": 1000, "done": 1000, "errors": 0}], "bytes": {"sent": 1000, "received": 500},
 "rounds": [{"number": 1, "version": "0", "workers": 10, "failed": 0, "seconds": 1, "fanoutSeconds": 1, "told": 10}],
 "resources": [{"process": "server", "rssPeakBytes": 1, "cpuSeconds": %g, "fdsPeak": 20}, {"process": "generator", "rssPeakBytes": 1, "cpuSeconds": 1, "fdsPeak": 20}]}`, cpu)
}

// runAction runs the shell steps until one fails, and gives its exit code, the job's
// summary and what the steps said.
func runAction(t *testing.T, bash, dir string, given map[string]string) (code int, summary, log string) {
	a := readAction(t)
	vars := map[string]string{
		"runner.temp": dir, "runner.os": "Linux", "runner.arch": "X64",
		"github.action_path": filepath.Join("..", ".."), "github.action_repository": "fltool/fltool", "github.action_ref": "main",
	}
	for name, in := range a.Inputs {
		vars["inputs."+name] = in.Default
	}
	for name, v := range given {
		if !strings.Contains(name, ".") {
			name = "inputs." + name
		}
		vars[name] = v
	}
	tmp := t.TempDir()
	summaryFile, output := filepath.Join(tmp, "summary.md"), filepath.Join(tmp, "output")
	for _, s := range a.Runs.Steps {
		if s.Uses != "" || !holds(t, s.If, vars) {
			continue
		}
		script := filepath.Join(tmp, "step.sh")
		if err := os.WriteFile(script, []byte(s.Run), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bash, "--noprofile", "--norc", "-eo", "pipefail", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GITHUB_STEP_SUMMARY="+summaryFile, "GITHUB_OUTPUT="+output)
		for name, v := range s.Env {
			cmd.Env = append(cmd.Env, name+"="+evaluate(t, v, vars))
		}
		out, err := cmd.CombinedOutput()
		log += string(out)
		if err != nil {
			code = cmd.ProcessState.ExitCode()
			t.Logf("%s: %v: %s", s.Name, err, out)
			break
		}
		if lines, err := os.ReadFile(output); err == nil && s.ID != "" {
			for l := range strings.Lines(string(lines)) {
				name, v, _ := strings.Cut(strings.TrimSpace(l), "=")
				vars["steps."+s.ID+".outputs."+name] = v
			}
		}
	}
	text, err := os.ReadFile(summaryFile)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	return code, string(text), log
}

var equality = regexp.MustCompile(`^(inputs\.[\w-]+) (==|!=) '(.*)'$`)

// holds is whether a step is run: all that stands between && must be true.
func holds(t *testing.T, condition string, vars map[string]string) bool {
	if condition == "" {
		return true
	}
	for part := range strings.SplitSeq(condition, " && ") {
		m := equality.FindStringSubmatch(part)
		if m == nil {
			t.Fatalf("the condition %q", part)
		}
		if (vars[m[1]] == m[3]) != (m[2] == "==") {
			return false
		}
	}
	return true
}

var formatCall = regexp.MustCompile(`^format\('\{0\}(.*)', (.*)\)$`)

// evaluate knows of GitHub's expressions what the action uses.
func evaluate(t *testing.T, text string, vars map[string]string) string {
	return actionExpression.ReplaceAllStringFunc(text, func(e string) string {
		for alternative := range strings.SplitSeq(actionExpression.FindStringSubmatch(e)[1], " || ") {
			suffix := ""
			if m := formatCall.FindStringSubmatch(alternative); m != nil {
				suffix, alternative = m[1], m[2]
			}
			v, known := vars[alternative]
			if !known {
				t.Errorf("the expression %q", e)
			}
			if v != "" {
				return v + suffix
			}
		}
		return ""
	})
}
