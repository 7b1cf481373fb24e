package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCommentJob runs the step of docs/ci.md that comments on a pull request, with a gh
// that only writes down what it is asked: it comments on the pull request whose commit
// ran, and on no other, whatever the artifact says.
func TestCommentJob(t *testing.T) {
	block := regexp.MustCompile("(?s)comment.yml`:\n\n```yaml\n(.*?)```").FindStringSubmatch(readFile(t, "../../docs/ci.md"))
	if block == nil {
		t.Fatal("docs/ci.md has no such workflow")
	}
	var file struct {
		On          map[string]any
		Permissions map[string]string
		Jobs        map[string]struct {
			If     string
			RunsOn string `yaml:"runs-on"`
			Steps  []actionStep
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(block[1]))
	dec.KnownFields(true) // a key that GitHub does not know is a typo
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(block[1], "checkout") || file.Permissions["pull-requests"] != "write" || len(file.Permissions) != 2 {
		t.Errorf("it checks something out, or may do more than it needs: %v", file.Permissions)
	}
	script := file.Jobs["comment"].Steps[0].Run
	const gh = `#!/bin/sh
echo "$*" >>asked
case "$1 $2" in
  "run download") mkdir comment; printf '%s' "$NUMBER" >comment/pull-request; echo '## SAME' >comment/comparison.md ;;
  "pr view") echo aaa ;;
  "pr comment") case "$*" in *--edit-last*) exit 1 ;; esac; cat body.md >>said ;;
esac
`
	for _, c := range []struct{ name, number, commit, said string }{
		{"its own", "7", "aaa", "## SAME\n"},
		{"another's", "7", "bbb", ""},
		{"no number", "7; rm -rf /", "aaa", ""},
		{"nothing", "", "aaa", ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(gh), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RUN=1", "COMMIT="+c.commit, "NUMBER="+c.number)
		out, err := cmd.CombinedOutput()
		said, _ := os.ReadFile(filepath.Join(dir, "said")) // absent: nothing was said
		if string(said) != c.said {
			t.Errorf("%s: %q was said, want %q (%v: %s)", c.name, said, c.said, err, out)
		}
		if asked := readFile(t, filepath.Join(dir, "asked")); c.said != "" && !strings.Contains(asked, "pr comment 7") {
			t.Errorf("%s: %s", c.name, asked)
		}
	}
}
