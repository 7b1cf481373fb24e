package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// drilled is how many workers the drills of the tests have.
const drilled = 20

// restarter is a server that commands can stop and start, as systemctl does.
type restarter struct{ script, dir string }

// newRestarter starts the server of a shell command, whose log says ready once it is.
func newRestarter(t *testing.T, command, ready string) restarter {
	t.Helper()
	r := restarter{dir: t.TempDir()}
	r.script = filepath.Join(r.dir, "ctl")
	text := fmt.Sprintf(`#!/bin/sh
cd %s
case $1 in
start)
	n=$(ls log.* 2>/dev/null | wc -l)
	(%s) >log.$n 2>&1 </dev/null &
	echo $! >pid
	until grep -q %q log.$n; do kill -0 $(cat pid) || exit 1; sleep 0.02; done ;;
stop)
	kill $(cat pid)
	while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done ;;
restart) $0 stop; $0 start ;;
esac
`, r.dir, command, ready)
	if err := os.WriteFile(r.script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(r.script, "start").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s%s", err, out, r.log(t, 0))
	}
	t.Cleanup(func() {
		pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, filepath.Join(r.dir, "pid"))))
		if err != nil {
			t.Error(err)
			return
		}
		for syscall.Kill(pid, syscall.SIGTERM) == nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	return r
}

// log is what the server said from its n-th start on.
func (r restarter) log(t *testing.T, n int) string {
	return readFile(t, filepath.Join(r.dir, fmt.Sprintf("log.%d", n)))
}

// drill runs a drill and reads its report, whatever its exit code.
func drill(t *testing.T, target string, args ...string) reports.Report {
	t.Helper()
	return reported(t, append([]string{"drill", "--target", target, "--workers", strconv.Itoa(drilled)}, args...)...)
}

// recoveredAll says whether the last of the workers hit was held again, and when.
func recoveredAll(d *reports.Drill) bool {
	n := len(d.Recovered)
	return n > 0 && d.Recovered[n-1].Share == 1 && d.Recovered[n-1].Seconds > 0
}

// FuzzParseAct parses acts, and does nothing.
func FuzzParseAct(f *testing.F) {
	for _, s := range []string{"true", "30s: systemctl reload nginx", "kill:4711", "1m:kill:4711", "10s:pause:4711:1s", "-1s: true", ":", "30s:", " 1h :true", "1s:2s:true"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAct(s, time.Second)
		if err == nil && (a.Do == nil || a.Name == "" || a.At < 0 || !strings.HasSuffix(strings.TrimSpace(s), a.Name)) {
			t.Errorf("%q is %q after %s", s, a.Name, a.At)
		}
	})
}

// TestDrillRestart restarts the reference server: with its state kept all is well again,
// without it nobody is known any more.
func TestDrillRestart(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys")
	fltool(t, 0, "keys", "generate", "-n", strconv.Itoa(drilled), keys)
	serve := func(address string, args ...string) string {
		return "exec fltool serve --listen " + address + " --keys " + keys + " " + strings.Join(args, " ")
	}
	t.Run("state", func(t *testing.T) {
		address := factstest.FreeAddress(t)
		s := newRestarter(t, serve(address, "--state", t.TempDir()), "listening on")
		r := drill(t, "http://"+address, "--keys", keys, "--act", s.script+" restart")
		d := r.Drill
		if r.Verdict != reports.VerdictWarn || d.Cut+d.Text != drilled || d.Workers != drilled || d.Away != 0 || !recoveredAll(d) || d.WentBack {
			t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
		}
		if said := fmt.Sprintf("held=%d", drilled); !strings.Contains(s.log(t, 0), said) {
			t.Errorf("the server does not say %s:\n%s", said, s.log(t, 0))
		}
	})
	t.Run("no state", func(t *testing.T) {
		address := factstest.FreeAddress(t)
		s := newRestarter(t, serve(address), "listening on")
		r := drill(t, "http://"+address, "--keys", keys, "--act", s.script+" restart", "--patience", "4s", "--worker-behaviour", "backoff:50ms..300ms", "--slo", "recovered.p99<1h")
		d := r.Drill
		if r.Verdict != reports.VerdictFail || d.Away != drilled || d.AwayCauses["unregistered"] == 0 || len(d.Recovered) != 0 || r.Thresholds[0].Pass {
			t.Errorf("verdict %s %q, drill %+v, thresholds %+v", r.Verdict, r.Reasons, d, r.Thresholds)
		}
	})
	t.Run("killed, workers started again", func(t *testing.T) {
		address := factstest.FreeAddress(t)
		s := newRestarter(t, serve(address, "--state", t.TempDir()), "listening on")
		pid := strings.TrimSpace(readFile(t, filepath.Join(s.dir, "pid")))
		r := drill(t, "http://"+address, "--keys", keys, "--act", "kill:"+pid, "--act", "500ms: "+s.script+" start", "--worker-behaviour", "supervised:300ms")
		d := r.Drill
		if r.Verdict != reports.VerdictPass || d.Cut != drilled || d.Ended != drilled || d.Away != 0 || !recoveredAll(d) || len(d.Acts) != 2 {
			t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
		}
	})
	t.Run("rounds", func(t *testing.T) {
		address := factstest.FreeAddress(t)
		s := newRestarter(t, serve(address, "--state", t.TempDir(), "--round", "all"), "listening on")
		r := drill(t, "http://"+address, "--keys", keys, "--rounds", "4", "--think", "300ms", "--act", s.script+" restart")
		d := r.Drill
		if !d.UpdatesJudged || d.UpdatesLost != 0 || d.UpdatesTwice != 0 || d.ModelsMissed != 0 || d.WentBack || len(r.Rounds) != 4 {
			t.Errorf("verdict %s %q, drill %+v, rounds %+v", r.Verdict, r.Reasons, d, r.Rounds)
		}
	})
}

// proxied starts the real nginx in front of an application, with a log of its requests
// and a directive more in its main context, and gives its address and folder.
func proxied(t *testing.T, app, main string) (address, dir string) {
	t.Helper()
	address, dir = factstest.FreeAddress(t), t.TempDir()
	conf := nginxConf(t, dir, slots, logging(address, dir, app))
	if err := os.WriteFile(conf, []byte(main+readFile(t, conf)), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, nginxProgram(t), "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	waitListening(t, address, filepath.Join(dir, "error.log"))
	for { // it listens first
		if pid, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil && len(pid) > 0 {
			return address, dir
		}
		time.Sleep(time.Millisecond)
	}
}

// logging is nginx's server before an application, with a log of its requests.
func logging(address, dir, app string) string {
	return fmt.Sprintf("server { listen %s; access_log %s/access.log; location / { proxy_pass http://%s; proxy_read_timeout 1h; } }", address, dir, app)
}

// logged counts the polls that nginx's log says ended with a status; 000 is none.
func logged(t *testing.T, dir, status string) int {
	t.Helper()
	polls := regexp.MustCompile(`"POST ` + wire.PathPoll + `\S* HTTP/1.1" ` + status + ` `)
	return len(polls.FindAllString(readFile(t, filepath.Join(dir, "access.log")), -1))
}

// TestDrillReload reloads the real nginx: by default its old processes keep the polls
// that they hold, and worker_shutdown_timeout cuts them. What the report counts is what
// nginx's own log has.
func TestDrillReload(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys")
	fltool(t, 0, "keys", "generate", "-n", strconv.Itoa(drilled), keys)
	app := factstest.FreeAddress(t)
	newRestarter(t, "exec fltool serve --listen "+app+" --keys "+keys, "listening on")
	for _, c := range []struct {
		name, main string
		cut        int
	}{
		{"polls kept", "", 0},
		{"worker_shutdown_timeout", "worker_shutdown_timeout 100ms;", drilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, dir := proxied(t, app, c.main)
			r := drill(t, "http://"+address, "--keys", keys, "--act", "kill -HUP $(cat "+dir+"/pid)")
			d := r.Drill
			if d.Cut != c.cut || d.Text != 0 || d.ServerErrors != 0 || d.Away != 0 || d.Workers != d.Cut {
				t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
			}
			if n := logged(t, dir, "000"); n != d.Cut {
				t.Errorf("%d polls were cut, nginx's log has %d", d.Cut, n)
			}
		})
	}
}

// TestDrillPython restarts the real nginx before a server of Python's, and then that
// server, and has another one recycle its worker: each held poll ends with what the logs
// say.
func TestDrillPython(t *testing.T) {
	t.Parallel()
	t.Run("restart", func(t *testing.T) {
		app := factstest.FreeAddress(t)
		s := newRestarter(t, python(t, app, "--graceful-timeout", "1"), "Booting worker")
		waitListening(t, app, "")
		address, dir := factstest.FreeAddress(t), t.TempDir()
		n := newRestarter(t, fmt.Sprintf("exec %s -p %s -c %s -e stderr -g 'error_log stderr notice;'", nginxProgram(t), dir, nginxConf(t, dir, slots, logging(address, dir, app))), "start worker process")
		r := drill(t, "http://"+address, "--unsafe", "--act", n.script+" restart")
		d := r.Drill
		if d.Cut != drilled || d.Workers != drilled || d.Away != 0 || !recoveredAll(d) {
			t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
		}
		if log := n.log(t, 0); !strings.Contains(log, "SIGTERM") || logged(t, dir, "502") > 0 || strings.Count(s.log(t, 0), "Booting worker") != 1 {
			t.Errorf("nginx was not restarted alone:\n%s%s", log, s.log(t, 0))
		}
		r = drill(t, "http://"+address, "--unsafe", "--act", s.script+" restart", "--patience", "4s")
		d = r.Drill
		if d.Cut+d.ServerErrors+d.Text != drilled || d.Workers != drilled {
			t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
		}
		// Polls that the server left without an answer: nginx gives it for them.
		if n := logged(t, dir, "502"); n != d.ServerErrors || n == 0 {
			t.Errorf("%d polls ended with 5xx, nginx's log has %d", d.ServerErrors, n)
		}
	})
	t.Run("max-requests", func(t *testing.T) {
		app := factstest.FreeAddress(t)
		s := newRestarter(t, python(t, app, "--graceful-timeout", "1", "--max-requests", strconv.Itoa(6*drilled)), "Booting worker")
		waitListening(t, app, "")
		// A load beside the fleet that makes up the number: the worker is recycled under the polls.
		more := fmt.Sprintf(`fltool simulate --target http://%s --unsafe --workers %d --hold 1ms --request-timeout 3s --round-timeout 2s >/dev/null 2>&1
			until [ $(grep -c "Booting worker" %s/log.0) -gt 1 ]; do sleep 0.05; done`, app, drilled, s.dir)
		r := drill(t, "http://"+app, "--unsafe", "--act", more, "--patience", "4s")
		d := r.Drill
		if d.Cut+d.Text+d.ServerErrors < drilled || d.Ended == 0 {
			t.Errorf("verdict %s %q, drill %+v", r.Verdict, r.Reasons, d)
		}
		if log := s.log(t, 0); !strings.Contains(log, "Autorestarting worker") {
			t.Errorf("gunicorn did not recycle:\n%s", log)
		}
	})
}
