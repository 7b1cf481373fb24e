package remedy

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// hosts are scratch roots of files alone, so that what the script writes is all
// that preflight reads there.
var hosts = map[string]struct {
	files   map[string]string
	asked   facts.Asked
	workers int
	fixes   []string // findings that are there before the script and gone after it
}{
	"a service": {
		files: map[string]string{
			"etc/systemd/system/fl.service":               "[Service]\nWorkingDirectory=/srv\nExecStart=/usr/bin/gunicorn app:app\n",
			"etc/systemd/system/fl.service.d/90-old.conf": "[Service]\nLimitNOFILE=1000\n",
			"etc/sysctl.d/99-old.conf":                    "net.core.somaxconn = 128\nfs.nr_open = 3000\n",
		},
		asked: facts.Asked{Service: "fl"}, workers: 5000,
		fixes: []string{"app/nofile", "app/worker-class", "app/accept-queue", "host/nr-open"},
	},
	"a login": {
		files: map[string]string{
			"etc/passwd": "fl:x:1000:1000::/srv:/bin/sh\n", "etc/group": "fl:x:1000:\n",
			"etc/security/limits.conf":             "* - nofile 65535\n",
			"etc/security/limits.d/95-old.conf":    "fl soft nofile 500\n",
			"etc/systemd/system/unrelated.service": "[Service]\n",
		},
		asked: facts.Asked{User: "fl"}, workers: 1000,
		fixes: []string{"app/nofile"},
	},
}

// scratch is a root of files.
func scratch(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for file, text := range files {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func judge(t *testing.T, root string, asked facts.Asked, workers int) ([]reports.Finding, map[string]string) {
	t.Helper()
	f, err := facts.Gather(facts.NewRoot(root), facts.Scope{Asked: asked, Specs: kinds.Specs(), Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	demand := reports.Demand{Workers: workers, HoldSeconds: 60}
	findings, _ := checks.Run(checks.OneHost(f), demand, nil, time.Unix(0, 0))
	return findings, f.Own.V
}

func bad(findings []reports.Finding) []string {
	var out []string
	for _, f := range findings {
		if f.Status == reports.StatusFail || f.Status == reports.StatusWarn {
			out = append(out, f.Check)
		}
	}
	return out
}

func sh(t *testing.T, root, script string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "FLTOOL_ROOT="+root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the script fails: %v\n%s", err, out)
	}
	return string(out)
}

// One run of the script fixes what preflight finds and leaves nothing more to
// write; what was there before stays as it was.
func TestScriptMends(t *testing.T) {
	for name, h := range hosts {
		t.Run(name, func(t *testing.T) {
			root := scratch(t, h.files)
			findings, own := judge(t, root, h.asked, h.workers)
			for _, id := range h.fixes {
				if !slices.Contains(bad(findings), id) {
					t.Errorf("%s is fine before the script", id)
				}
			}
			sh(t, root, Make(findings, own).Script("test"))
			findings, own = judge(t, root, h.asked, h.workers)
			for _, id := range bad(findings) {
				if slices.Contains(h.fixes, id) {
					t.Errorf("%s is still there after the script", id)
				}
			}
			if p := Make(findings, own); len(p.Files) > 0 {
				t.Errorf("after the script there is more to write: %+v", p.Files)
			}
			for file, text := range h.files {
				if b, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(b) != text {
					t.Errorf("%s is not as it was: %v", file, err)
				}
			}
		})
	}
}

// Hosts on which fltool's own file would not win, or is not read.
var stubborn = map[string]struct {
	files   map[string]string
	asked   facts.Asked
	byHand  string // the finding
	because string // within its remedy
}{
	"a drop-in that is read later": {
		map[string]string{"etc/systemd/system/fl.service": "[Service]\nExecStart=/usr/bin/gunicorn app:app\n", "etc/systemd/system/fl.service.d/zzz.conf": "[Service]\nLimitNOFILE=1000\n"},
		facts.Asked{Service: "fl"}, "app/nofile", "zzz.conf:2 is read after",
	},
	"an alias with a drop-in that is read later": {
		map[string]string{"usr/lib/systemd/system/dcf.service": "[Service]\nExecStart=/usr/bin/gunicorn app:app\n", "etc/systemd/system/fl.service": "-> /usr/lib/systemd/system/dcf.service", "etc/systemd/system/fl.service.d/zzz.conf": "[Service]\nLimitNOFILE=1000\n"},
		facts.Asked{Service: "fl"}, "app/nofile", "zzz.conf:2 is read after",
	},
	"ulimit in what a unit starts": {
		map[string]string{"etc/systemd/system/fl.service": "[Service]\nExecStart=/bin/sh -c 'ulimit -n 1000; exec /usr/bin/gunicorn app:app'\nLimitNOFILE=1000\n"},
		facts.Asked{Service: "fl"}, "app/nofile", "ulimit at",
	},
	"pam_limits has the last word": {
		map[string]string{"etc/systemd/system/fl.service": "[Service]\nUser=fl\nPAMName=login\nExecStart=/usr/bin/gunicorn app:app\n", "etc/pam.d/login": "session required pam_limits.so\n", "etc/security/limits.conf": "fl - nofile 1000\n"},
		facts.Asked{Service: "fl"}, "app/nofile", "limits.conf:1",
	},
	"lifted out": {
		map[string]string{"etc/security/limits.conf": "fl -\n"}, facts.Asked{User: "fl"}, "app/nofile", "lifts fl out",
	},
	"a line that is read later": {
		map[string]string{"etc/security/limits.d/zzz.conf": "fl - nofile 1000\n"}, facts.Asked{User: "fl"}, "app/nofile", "zzz.conf:1 is read after",
	},
	"a login without PAM": {
		map[string]string{"etc/ssh/sshd_config": "UsePAM no\n", "etc/security/limits.conf": "fl - nofile 65536\n"}, facts.Asked{User: "fl"}, "app/nofile", "UsePAM yes",
	},
	"a setting that is read later": {
		map[string]string{"etc/sysctl.d/zzz.conf": "fs.nr_open = 3000\n", "etc/systemd/system/fl.service": "[Service]\nExecStart=/usr/bin/gunicorn app:app\n"},
		facts.Asked{Service: "fl"}, "host/nr-open", "zzz.conf:1 is read after",
	},
}

// Where fltool's file would change nothing, none is written for it, and it is
// named as by hand; what is written fixes.
func TestPlansWin(t *testing.T) {
	for name, h := range stubborn {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(h.files)
			files["etc/passwd"], files["etc/group"] = "fl:x:1000:1000::/srv:/bin/sh\n", "fl:x:1000:\n"
			files["etc/os-release"] = "ID=debian\nVERSION_ID=13\n"
			files["usr/lib/systemd/systemd"] = ""
			files["usr/lib/systemd/libsystemd-shared-257.so"] = ""
			root := scratch(t, files)
			findings, own := judge(t, root, h.asked, 5000)
			plan := Make(findings, own)
			i := slices.IndexFunc(plan.Manual, func(f reports.Finding) bool { return f.Check == h.byHand })
			if i < 0 || !strings.Contains(plan.Manual[i].Remedy.Text, h.because) {
				t.Errorf("by hand is %v, want %s with %q", plan.Manual, h.byHand, h.because)
			}
			written := make(map[string]bool)
			for _, f := range findings {
				written[f.Check] = f.Severity != reports.SeverityInfo && len(f.Remedy.Files) > 0 && f.Remedy.Hand == ""
			}
			sh(t, root, plan.Script("test"))
			findings, _ = judge(t, root, h.asked, 5000)
			for _, id := range bad(findings) {
				if written[id] {
					t.Errorf("%s is still there after the script, and nobody was notified", id)
				}
			}
		})
	}
}

func TestScriptIsIdempotentAndKeepsBackups(t *testing.T) {
	plan := Make([]reports.Finding{finding("host/nr-open", reports.Remedy{
		Files: []reports.File{{Path: "/etc/sysctl.d/zz-fltool.conf", Lines: []string{"fs.nr_open = 2097152"}}},
	})}, nil)
	root := t.TempDir()
	file := filepath.Join(root, "etc/sysctl.d/zz-fltool.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := sh(t, root, plan.Script("x")); !strings.Contains(out, "wrote") {
		t.Errorf("first run: %s", out)
	}
	if out := sh(t, root, plan.Script("x")); !strings.Contains(out, "unchanged") || strings.Contains(out, "wrote") {
		t.Errorf("second run: %s", out)
	}
	backups, err := filepath.Glob(file + ".*.bak")
	if err != nil || len(backups) != 1 {
		t.Fatalf("backups: %q, %v", backups, err)
	}
	if b, err := os.ReadFile(backups[0]); err != nil || string(b) != "# mine\n" {
		t.Errorf("backup holds %q, %v", b, err)
	}
	if left, _ := filepath.Glob(file + ".new"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A command that fails ends neither the others nor the word of what is left to
// do; the exit code tells of it.
func TestScriptFails(t *testing.T) {
	cmd := exec.Command("/bin/sh")
	cmd.Stdin = strings.NewReader(Steps{Commands: []string{"false", "echo second"}, Later: []string{"systemctl restart fl"}}.Script("x"))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"second\n", "  systemctl restart fl\n", "a command failed"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func finding(id string, r reports.Remedy) reports.Finding {
	return reports.Finding{Check: id, Title: "title", Status: reports.StatusFail, Severity: reports.SeverityError, Remedy: r}
}

// What an earlier fix wrote stays; flags of gunicorn in one variable are merged.
func TestMakeMerges(t *testing.T) {
	const unit = "/etc/systemd/system/fl.service.d/zz-fltool.conf"
	set := func(id, line string) reports.Finding {
		return finding(id, reports.Remedy{Files: []reports.File{{Path: unit, Section: "Service", Lines: []string{line}}}, Commands: []string{"systemctl daemon-reload", "systemctl restart fl.service"}})
	}
	old := Make([]reports.Finding{
		set("app/nofile", "LimitNOFILE=65536"),
		set("app/worker-class", `Environment="GUNICORN_CMD_ARGS=--worker-class gevent"`),
		set("app/worker-connections", `Environment="GUNICORN_CMD_ARGS=--worker-connections 2064"`),
	}, nil)
	const want = `# Written by fltool fix.
[Service]
# app/nofile: title
LimitNOFILE=65536
# app/worker-class: title
# app/worker-connections: title
Environment="GUNICORN_CMD_ARGS=--worker-class gevent --worker-connections 2064"
`
	if len(old.Files) != 1 || old.Files[0].New != want {
		t.Fatalf("got %+v", old.Files)
	}
	if !slices.Equal(old.Commands, []string{"systemctl daemon-reload"}) || !slices.Equal(old.Later, []string{"systemctl restart fl.service"}) {
		t.Errorf("commands %q, later %q", old.Commands, old.Later)
	}
	next := Make([]reports.Finding{set("app/worker-connections", `Environment="GUNICORN_CMD_ARGS=--worker-connections 4064"`)}, map[string]string{unit: want})
	if got := next.Files[0].New; got != strings.Replace(want, "2064", "4064", 1) {
		t.Errorf("got %s", got)
	}
	if d := next.Diff(); !strings.Contains(d, "--- a"+unit) || !strings.Contains(d, "+++ b"+unit) || !strings.Contains(d, "4064") || strings.Contains(d, "-LimitNOFILE") {
		t.Errorf("diff:\n%s", d)
	}
	if d := old.Diff(); !strings.HasPrefix(d, "--- /dev/null\n+++ b"+unit+"\n@@ ") {
		t.Errorf("diff of a new file:\n%s", d)
	}
}

func TestMakeLeavesTheRest(t *testing.T) {
	info := finding("host/tcp-keepalive", reports.Remedy{Files: []reports.File{{Path: "/etc/x", Lines: []string{"a = 1"}}}})
	info.Severity, info.Status = reports.SeverityInfo, reports.StatusWarn
	waived := finding("host/nr-open", reports.Remedy{Files: []reports.File{{Path: "/etc/x", Lines: []string{"a = 1"}}}})
	waived.Status = reports.StatusWaived
	hand := finding("app/processes", reports.Remedy{Text: "run\none process"})
	p := Make([]reports.Finding{info, waived, hand}, nil)
	if len(p.Files) > 0 || len(p.Manual) != 1 {
		t.Errorf("%+v", p)
	}
	if s := p.Script("x"); !strings.Contains(s, "# app/processes: run one process\n") || strings.Contains(s, "put()") {
		t.Errorf("script:\n%s", s)
	}
}

// Every script that the hosts above need passes shellcheck.
func TestShellcheck(t *testing.T) {
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("shellcheck is not installed")
	}
	nasty := finding("app/nofile", reports.Remedy{Text: "say 'x' $(y)", Commands: []string{"systemctl daemon-reload"}, Files: []reports.File{{Path: "/etc/systemd/system/it's a.service.d/zz-fltool.conf", Section: "Service", Lines: []string{"LimitNOFILE=1"}}}, Then: "login"})
	scripts := [][]reports.Finding{{nasty}, {finding("x/y", reports.Remedy{Text: "by hand"})}, nil}
	for _, h := range hosts {
		findings, _ := judge(t, scratch(t, h.files), h.asked, h.workers)
		scripts = append(scripts, findings)
	}
	for _, findings := range scripts {
		cmd := exec.Command(path, "--shell=sh", "-")
		cmd.Stdin = strings.NewReader(Make(findings, nil).Script("a title\nof two lines"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("# Written by fltool fix.\n[Service]\n# app/nofile: x\nLimitNOFILE=1\nfl soft nofile 5\n")
	f.Fuzz(func(t *testing.T, text string) {
		once := parse(text).String()
		if again := parse(once).String(); again != once {
			t.Errorf("%q becomes %q", once, again)
		}
	})
}
