package remedy

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// attacked makes the script of facts whose texts are an attacker's; "" where the
// facts are refused.
func attacked(tb testing.TB, host facts.Facts, unit, user, file, own, said string) string {
	host.Own = facts.Value[map[string]string]{V: map[string]string{file: own}, Source: "x"}
	if u := host.Service.V; u != nil {
		was := *u
		was.Name, was.NoFile.Source = unit, said
		host.Service.V = &was
	}
	if host.Asked.User != "" {
		host.Asked.User = user
	}
	var b bytes.Buffer
	if err := host.Write(&b); err != nil {
		tb.Fatal(err)
	}
	f, err := facts.Read(&b)
	if err != nil {
		return ""
	}
	findings, _ := checks.Run(checks.OneHost(f), reports.Demand{Workers: 5000, HoldSeconds: 60}, nil, time.Unix(0, 0))
	return Make(findings, f.Own.V).Script(said)
}

// harm runs a script below a root and says what it did beside writing files of
// its own there: "" nothing. Commands of the strings are to make files named
// canary where they run.
func harm(tb testing.TB, script string, root string) string {
	cwd := tb.TempDir()
	cmd := exec.CommandContext(context.Background(), "/bin/sh")
	cmd.Dir, cmd.Stdin = cwd, strings.NewReader(script)
	cmd.Env = append(os.Environ(), "FLTOOL_ROOT="+root)
	out, _ := cmd.CombinedOutput() // it may refuse to write
	if left, err := os.ReadDir(cwd); err != nil || len(left) > 0 {
		return "a command of a string ran"
	}
	if strings.ContainsAny(string(out), "\x1b\a\r") {
		return "escapes on the terminal: " + string(out)
	}
	did := ""
	err := filepath.WalkDir(filepath.Dir(root), func(path string, d fs.DirEntry, err error) error {
		switch rel, _ := filepath.Rel(root, path); {
		case err != nil:
			return err
		case d.IsDir():
		case d.Name() == facts.OwnName && strings.HasPrefix(rel, "etc/"):
		case strings.HasSuffix(d.Name(), ".bak") && strings.HasPrefix(rel, "etc/"):
		default:
			did = "it wrote " + path
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return did
}

func FuzzScript(f *testing.F) {
	const unit, sysctl = "/etc/systemd/system/fl.service.d/zz-fltool.conf", "/etc/sysctl.d/zz-fltool.conf"
	f.Add("fl.service", "fl", unit, "[Service]\nLimitNOFILE=1\n", "/etc/systemd/system/fl.service:3")
	f.Add("fl.service", "fl", sysctl, "fs.nr_open = 1\nEOF\ntouch canary\ncat <<'EOF'\n", "x")
	f.Add("fl.service", "fl", unit, "LimitNOFILE=1\nEO\x00F\ntouch canary\n: <<EOF\n", "x\ntouch canary")
	f.Add("$(touch canary).service", "fl", unit, "", "x\x1b]0;title\a")
	f.Add("';touch canary;'.service", "`touch canary`", "/etc/systemd/system/';touch canary;'.service.d/zz-fltool.conf", "", "x")
	f.Add("../../../../x.service", "fl\ntouch canary", "/etc/sysctl.d/../../../zz-fltool.conf", "", "x\rtouch canary")
	f.Add("-h.service", "fl", unit, "[Service]\nExecStartPre=/usr/bin/touch canary\n", "x")
	f.Add(`a\x2d\nb@1.service`, "* - nofile 1\nroot", unit, "[Service]\nEnvironment=\"GUNICORN_CMD_ARGS=--config /tmp/evil.py\"\n", "x")
	var all []facts.Facts
	for _, h := range hosts {
		one, err := facts.Gather(facts.NewRoot(scratch(f, h.files)), facts.Scope{Asked: h.asked, Now: time.Unix(0, 0)})
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, one)
	}
	f.Fuzz(func(t *testing.T, unit, user, file, own, said string) {
		for _, host := range all {
			script := attacked(t, host, unit, user, file, own, said)
			root := filepath.Join(t.TempDir(), "root")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			if did := harm(t, script, root); did != "" {
				t.Errorf("%s:\n%s", did, script)
			}
		}
	})
}

// Whatever findings say, the script holds the forms of a plan and no others: here
// nothing stands between the strings and the plan.
func TestRefusedRemedies(t *testing.T) {
	unit := func(name string) string { return "/etc/systemd/system/" + name + ".d/zz-fltool.conf" }
	good := reports.File{Path: unit("fl.service"), Section: "Service", Lines: []string{"LimitNOFILE=65536"}}
	for name, r := range map[string]reports.Remedy{
		"a path elsewhere":         {Files: []reports.File{{Path: "/etc/cron.d/zz-fltool.conf", Lines: []string{"fs.nr_open = 1"}}}},
		"a path that climbs":       {Files: []reports.File{{Path: unit("../../x.service"), Section: "Service", Lines: good.Lines}}},
		"a unit that is a flag":    {Files: []reports.File{{Path: unit("-x.service"), Section: "Service", Lines: good.Lines}}},
		"two lines in one":         {Files: []reports.File{{Path: good.Path, Section: "Service", Lines: []string{"LimitNOFILE=1\nExecStart=/x"}}}},
		"another setting":          {Files: []reports.File{{Path: good.Path, Section: "Service", Lines: []string{"ExecStartPre=/x"}}}},
		"another section":          {Files: []reports.File{{Path: good.Path, Section: "Unit", Lines: good.Lines}}},
		"a flag that runs code":    {Files: []reports.File{{Path: good.Path, Section: "Service", Lines: []string{`Environment="GUNICORN_CMD_ARGS=--config /tmp/x.py"`}}}},
		"a kernel program":         {Files: []reports.File{{Path: "/etc/sysctl.d/zz-fltool.conf", Lines: []string{"kernel.core_pattern = |/tmp/x"}}}},
		"a limit for everybody":    {Files: []reports.File{{Path: "/etc/security/limits.d/zz-fltool.conf", Lines: []string{"* hard nofile 1"}}}},
		"a command":                {Files: []reports.File{good}, Commands: []string{"touch canary"}},
		"a command and another":    {Files: []reports.File{good}, Commands: []string{"systemctl daemon-reload; touch canary"}},
		"a unit that ends a quote": {Files: []reports.File{good}, Commands: []string{"systemctl restart 'fl.service';touch canary;'.service'"}},
	} {
		p := Make([]reports.Finding{finding("app/nofile", r)}, nil)
		if len(p.Files)+len(p.Commands)+len(p.Later) > 0 || len(p.Manual) != 1 || !strings.Contains(p.Manual[0].Remedy.Text, "fix ") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if p := Make([]reports.Finding{finding("app/nofile", reports.Remedy{Files: []reports.File{good}})}, nil); len(p.Files) != 1 {
		t.Errorf("a good one is refused: %+v", p)
	}
}

// What fix did not write into its file is neither lost nor taken over.
func TestForeignLines(t *testing.T) {
	for _, own := range []string{
		"kernel.core_pattern = |/tmp/x\n", "fs.nr_open = 1\nEOF\ntouch canary\n", "[Service]\nfs.nr_open = 1\n", "fs.nr_open = 1; x\n",
	} {
		p := Make([]reports.Finding{finding("host/nr-open", reports.Remedy{
			Files: []reports.File{{Path: "/etc/sysctl.d/zz-fltool.conf", Lines: []string{"fs.nr_open = 2097152"}}},
		})}, map[string]string{"/etc/sysctl.d/zz-fltool.conf": own})
		if len(p.Files) > 0 || len(p.Manual) != 1 || !strings.Contains(p.Manual[0].Remedy.Text, "what fix did not write") {
			t.Errorf("%q: %+v", own, p)
		}
	}
}

// A text can't end its here-document, nor steer a terminal through the diff.
func TestHereDoc(t *testing.T) {
	text := "a\nEOF\nEOFF\n$(touch canary) `x` \\\n"
	cmd := exec.Command("/bin/sh", "-c", "cat "+hereDoc(text))
	if out, err := cmd.Output(); err != nil || string(out) != text {
		t.Errorf("%v: %q", err, out)
	}
	p := Steps{Files: []File{{Path: "/etc/x", Old: "# \x1b[2Jx\n", New: "y\n"}}}
	if d := p.Diff(); strings.Contains(d, "\x1b") || !strings.Contains(d, `-# \x1b[2Jx`) {
		t.Errorf("%q", d)
	}
}

// Links below FLTOOL_ROOT lead nowhere: whatever is linked, nothing outside of the
// root is written, and the script says so.
func TestScriptFollowsNoLink(t *testing.T) {
	plan := Make([]reports.Finding{finding("host/nr-open", reports.Remedy{
		Files: []reports.File{{Path: "/etc/sysctl.d/zz-fltool.conf", Lines: []string{"fs.nr_open = 2097152"}}},
	})}, nil)
	for _, link := range []string{"etc", "etc/sysctl.d", "etc/sysctl.d/zz-fltool.conf"} {
		for _, dangling := range []bool{false, true} {
			top := t.TempDir()
			root, outside := filepath.Join(top, "root"), filepath.Join(top, "outside")
			if err := os.MkdirAll(filepath.Join(root, filepath.Dir(link)), 0o755); err != nil {
				t.Fatal(err)
			}
			if !dangling {
				if err := os.Mkdir(outside, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(outside, filepath.Join(root, link)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/bin/sh")
			cmd.Stdin, cmd.Env = strings.NewReader(plan.Script("x")), append(os.Environ(), "FLTOOL_ROOT="+root)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), link+": is a link") {
				t.Errorf("%s: %v, %s", link, err, out)
			}
			if left, _ := os.ReadDir(outside); len(left) > 0 {
				t.Errorf("%s: it wrote %v outside", link, left)
			}
			if _, err := os.Lstat(outside); dangling && err == nil {
				t.Errorf("%s: it made %s", link, outside)
			}
		}
	}
}
