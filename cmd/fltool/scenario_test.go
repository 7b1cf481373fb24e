package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// simulated is how many workers the scenarios of the tests have.
const simulated = 20

// reported runs a command of fltool's that makes a report and reads that, whatever the
// exit code. Neither the report nor what was said has a private key of its --keys.
func reported(t *testing.T, args ...string) reports.Report {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.json")
	args = slices.Insert(slices.Clone(args), 1, "--max-lag", "1m", "--out", out)
	said, err := exec.Command("fltool", args...).CombinedOutput()
	t.Logf("fltool %s\n%s", strings.Join(args, " "), said)
	r, rerr := reports.Read(out)
	if rerr != nil {
		t.Fatalf("%v, %v", rerr, err)
	}
	if i := slices.Index(args, "--keys"); i >= 0 {
		told := string(said) + readFile(t, out)
		for n := range simulated {
			if key := strings.TrimSpace(readFile(t, filepath.Join(args[i+1], fmt.Sprint(wire.KeyFilePrefix, n)))); len(key) != 64 || strings.Contains(told, key) {
				t.Errorf("the key of worker %d is %d bytes long, and told", n, len(key))
			}
		}
	}
	return r
}

// TestScenarios plays each scenario against the reference server, directly and through
// the real nginx.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan string
		args []string
		want func(t *testing.T, r reports.Report)
	}{
		{"storm", nil, func(t *testing.T, r reports.Report) {
			d := r.Drill
			if r.Verdict != reports.VerdictWarn || d.Cut != simulated || d.Workers != simulated || d.Away != 0 || d.Ended != simulated || !recoveredAll(d) {
				t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
			}
		}},
		{"abandon:times=5,after=0.1", nil, func(t *testing.T, r reports.Report) {
			a := r.Scenario.Abandon
			if r.Verdict != reports.VerdictPass || a.Polls != 5*simulated || a.Answered != a.Polls || a.Unheard != 0 || r.Drill.Workers != 0 {
				t.Errorf("verdict %s %q, %+v, drill %+v", r.Verdict, r.Reasons, a, r.Drill)
			}
			if growth, known := a.Growth(); !known || growth > .1 {
				t.Errorf("%g descriptors for each, known %t", growth, known)
			}
		}},
		{"churn:join=100/s,leave=50/s,vanish=50/s", []string{"--think", "uniform:100ms-300ms", "--rounds", "10", "--seed", "1"}, func(t *testing.T, r reports.Report) {
			c := r.Scenario.Churn
			if r.Verdict != reports.VerdictPass || len(r.Rounds) != 10 || len(r.Lost) != 0 || c.Unserved != 0 || c.Left == 0 || c.Vanished == 0 ||
				c.Joined == 0 || c.Back != c.Joined || c.Away != c.Left+c.Vanished-c.Joined || c.Doubled != 0 {
				t.Errorf("verdict %s %q, rounds %d, lost %v, %+v", r.Verdict, r.Reasons, len(r.Rounds), r.Lost, c)
			}
			if kept, known := c.FDsKept(); !known || kept != 0 {
				t.Errorf("the server keeps %d descriptors, known %t", kept, known)
			}
		}},
		{"flaky:every=3000,silence=0.5", nil, func(t *testing.T, r reports.Report) {
			f := r.Scenario.Flaky
			if r.Verdict != reports.VerdictPass || f.Served != simulated || f.Connections <= simulated || f.Cut+f.Reset+f.Silenced == 0 {
				t.Errorf("verdict %s %q, %+v", r.Verdict, r.Reasons, f)
			}
		}},
		{"hostile:requests=500,connections=4", []string{"--think", "50ms"}, func(t *testing.T, r reports.Report) {
			sum := r.Scenario.Hostile.Sum()
			if sum.All() != 500 || sum.Through != 0 || sum.Held != 0 || len(r.Lost) != 0 || len(r.Rounds) != 6 {
				t.Errorf("verdict %s %q, %+v, lost %v", r.Verdict, r.Reasons, sum, r.Lost)
			}
		}},
		{"slow:clients=3,rate=5", []string{"--think", "100ms", "--rounds", "12"}, func(t *testing.T, r reports.Report) {
			s := r.Scenario.Slow
			if r.Verdict != reports.VerdictPass || len(s.Kinds) != 3 || len(r.Lost) != 0 || len(r.Rounds) != 12 {
				t.Errorf("verdict %s %q, %+v, lost %v", r.Verdict, r.Reasons, s, r.Lost)
			}
		}},
	} {
		name, _, _ := strings.Cut(c.plan, ":")
		args := append([]string{"simulate", "--scenario", c.plan, "--workers", strconv.Itoa(simulated)}, c.args...)
		check := func(t *testing.T, r reports.Report) {
			if s := r.Scenario; s == nil || s.Name != name || r.Kind != reports.KindSimulate {
				t.Errorf("kind %s, scenario %+v", r.Kind, s)
			}
			c.want(t, r)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, reported(t, args...))
		})
		t.Run(name+" through nginx", func(t *testing.T) {
			t.Parallel()
			keys := filepath.Join(t.TempDir(), "keys")
			fltool(t, 0, "keys", "generate", "-n", strconv.Itoa(simulated), keys)
			app := factstest.FreeAddress(t)
			s := newRestarter(t, "exec fltool serve --listen "+app+" --keys "+keys, "listening on")
			address, _ := proxied(t, app, "")
			check(t, reported(t, append(args, "--target", "http://"+address, "--keys", keys, "--server-pid", filepath.Join(s.dir, "pid"))...))
		})
		if name != loadgen.ScenarioSlow {
			continue // whose clients do something of their own below TLS
		}
		t.Run(name+" over TLS", func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			keys, cert, key := filepath.Join(dir, "keys"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			fltool(t, 0, "keys", "generate", "-n", strconv.Itoa(simulated), keys)
			if err := factstest.WriteCertificate(cert, key); err != nil {
				t.Fatal(err)
			}
			s := startServe(t, "--keys", keys, "--tls-cert", cert, "--tls-key", key)
			check(t, reported(t, append(args, "--target", s.url, "--insecure", "--keys", keys)...))
		})
	}
}
