package loadgen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// TestPythonServer drives a server on what real ones run on: gunicorn with gevent,
// PyNaCl and msgpack, as Debian has them. It checks every signature, answers polls in
// chunks and closes idle connections.
func TestPythonServer(t *testing.T) {
	t.Parallel()
	const workers = 20
	dir := filepath.Join(t.TempDir(), "keys")
	if err := wire.GenerateKeys(t.Context(), dir, workers); err != nil {
		t.Fatal(err)
	}
	target, pid := gunicorn(t, []string{"KEYS=" + filepath.Join(dir, wire.KeyListFile)})
	master := parent(t, pid)
	if err := CheckTarget(bounded(t), target, nil); err != nil {
		t.Fatal(err)
	}
	for i, first := range []First{FirstPoll, FirstUpdate} {
		p := testPlan(target, workers)
		var err error
		if p.Keys, err = wire.ReadKeys(dir, 0, workers); err != nil {
			t.Fatal(err)
		}
		p.First = first
		p.Hold = 100 * time.Millisecond
		rep, err := Run(bounded(t), p, Setup{ServerPID: master})
		if err != nil || rep.Verdict != reports.VerdictPass || len(rep.Rounds) != p.Rounds || rep.Held.Steady != workers {
			t.Fatalf("%s first: verdict %s %v %v, held %+v, errors %v", first, rep.Verdict, rep.Reasons, err, rep.Held, rep.Errors)
		}
		for j, r := range rep.Rounds {
			if r.Version != fmt.Sprint(i*p.Rounds+j+1) || r.Workers != workers {
				t.Errorf("%s first: round %+v", first, r)
			}
		}
		// The master holds no poll: what it started does.
		if r := rep.Resources[0]; r.Process != "server" || r.Processes != 2 || r.FDsPerWorker == nil || *r.FDsPerWorker < .5 || r.FDsFullest >= r.FDsPeak || r.FDLimit == 0 || r.CPUSeconds == 0 {
			t.Errorf("server %+v", r)
		}
	}
	// A key that the server does not know.
	p := impatient(testPlan(target, 1))
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictFail || len(rep.Lost) != 1 || rep.Lost[0].Class != string(classInvalid) {
		t.Errorf("verdict %s %v %v, lost %v", rep.Verdict, rep.Reasons, err, rep.Lost)
	}
}

// TestQuorum drives rounds that a part of the workers ends, as FedAvg's do, whose later
// updates count for later rounds.
func TestQuorum(t *testing.T) {
	const workers, quorum = 20, 8
	target, _ := gunicorn(t, []string{"QUORUM=" + strconv.Itoa(quorum)})
	p := testPlan(target, workers)
	p.Keys, p.Rounds, p.Quorum, p.Think = nil, 5, quorum, Think{max: 200 * time.Millisecond}
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Verdict != reports.VerdictPass || len(rep.Rounds) != p.Rounds || len(rep.Errors) > 0 {
		t.Fatalf("%v, %s %q, rounds %+v, errors %+v", err, rep.Verdict, rep.Reasons, rep.Rounds, rep.Errors)
	}
	// A version that lives shorter than an answer takes to be read is seen by no worker.
	accepted, last := 0, -1
	for i, r := range rep.Rounds {
		v, err := strconv.Atoi(r.Version)
		if err != nil || v <= last || i == 0 && v != 0 || r.Number != i+1 || r.Open {
			t.Errorf("round %d after version %d: %+v", i+1, last, r)
		}
		accepted, last = accepted+r.Workers, v
	}
	// Until the last round's end is read here, each worker may have one more update accepted.
	if accepted < (p.Rounds-1)*quorum || accepted > (last+2)*quorum+workers {
		t.Errorf("%d updates accepted in rounds of %d up to version %d: %+v", accepted, quorum, last, rep.Rounds)
	}
}

// TestWrongProcess measures a process that holds no poll: that is no measure of a poll.
func TestWrongProcess(t *testing.T) {
	target, _ := gunicorn(t, nil)
	idle := exec.Command("sleep", "600")
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { idle.Process.Kill(); idle.Wait() }()
	p := testPlan(target, 5)
	p.Keys, p.Rounds, p.Hold = nil, 0, 500*time.Millisecond
	rep, err := Run(bounded(t), p, Setup{ServerPID: idle.Process.Pid})
	if r := rep.Resources[0]; err != nil || r.RSSPeakBytes == 0 || r.FDsPerWorker != nil || r.RSSPerWorkerBytes != nil {
		t.Errorf("%v, server %+v", err, r)
	}
}

// TestOutlived tells what a server that goes on keeps of a run, beside one that keeps
// nothing.
func TestOutlived(t *testing.T) {
	t.Parallel()
	const workers = 5
	for _, env := range [][]string{nil, {"LEAK=1000000", "LEAK_FDS=1"}} {
		target, pid := gunicorn(t, env)
		var r reports.Resource
		for range 2 { // the first run has it grow in any case
			p := testPlan(target, workers)
			p.Keys, p.Rounds, p.Hold = nil, 0, 100*time.Millisecond
			rep, err := Run(bounded(t), p, Setup{ServerPID: pid})
			if r = rep.Resources[0]; err != nil || r.FDsGrowth == nil || r.RSSGrowth == nil {
				t.Fatalf("%v, %+v", err, r)
			}
		}
		if leaks := env != nil; (*r.FDsGrowth >= workers) != leaks || (*r.RSSGrowth > .05) != leaks {
			t.Errorf("%v: grew by %g descriptors and %g of its memory", env, *r.FDsGrowth, *r.RSSGrowth)
		}
	}
}

// parent is who started a process.
func parent(t *testing.T, pid int) (ppid int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[1], &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

// TestLeavesNothing holds polls of a server that notices no client that went away, as
// many as it has places for, and more: it is then as it was before.
func TestLeavesNothing(t *testing.T) {
	t.Parallel()
	const places = 20
	target, pid := gunicorn(t, nil, "--worker-connections", strconv.Itoa(places))
	descriptors := func() int {
		u, err := facts.ReadUsage(facts.NewRoot("/"), pid)
		if err != nil {
			t.Fatal(err)
		}
		return u.FDs
	}
	before := 0
	for _, workers := range []int{1, 15, 15, places, places, places + 5, 15} {
		p := testPlan(target, workers)
		p.Keys, p.Rounds, p.Hold = nil, 0, 100*time.Millisecond
		if workers > places { // those that wait for a place are not waited for long
			p.RequestTimeout, p.RoundTimeout = 6*time.Second, 5*time.Second
		}
		rep, err := Run(bounded(t), p, Setup{})
		if err != nil || rep.Held.Steady != min(workers, places) || rep.Held.Unfreed != 0 || rep.Held.Kept != b2i(workers >= places) {
			t.Errorf("%d workers: %v %v, held %+v, errors %v, notes %q", workers, err, rep.Reasons, rep.Held, rep.Errors, rep.Notes)
		}
		// Who waits for a place is a victim, and no cause.
		if want := "the server had places for 20 workers and no more: the other 5 waited for one"; workers > places && (rep.Held.Places != places || rep.Reasons[0] != want) {
			t.Errorf("held %+v, reasons %q", rep.Held, rep.Reasons)
		}
		if before == 0 {
			before = descriptors() // with what its first requests had it open
		}
		for deadline := time.Now().Add(20 * time.Second); descriptors() > before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d workers: the server has %d descriptors, %d before", workers, descriptors(), before)
			}
		}
	}
}

// TestStagesLeaveNothing has stages with such a server, which keeps the places of those who
// leave: of one that is full, and of workers that come back by another id.
func TestStagesLeaveNothing(t *testing.T) {
	t.Parallel()
	const places = 20
	target, pid := gunicorn(t, nil, "--worker-connections", strconv.Itoa(places))
	before := 0
	for _, c := range []struct {
		stages []string
		most   int
		kept   int
		last   int    // held at the end; -1: any number, as few as none on a slow machine
		full   string // the first reason
	}{
		{[]string{"hold:5,for=50ms", "hold:12,for=50ms", "hold:5,for=50ms"}, 12, 0, 5, ""},
		{[]string{"churn:workers=5,leave=20,for=400ms"}, 5, 0, -1, ""},
		{
			[]string{"hold:5,for=50ms", fmt.Sprintf("hold:%d,for=50ms", places+3), "hold:5,for=50ms"}, places + 3, 1, 5,
			"in stage 2 the server had places for 20 workers and no more: the other 3 waited for one",
		},
		{
			[]string{"hold:15,for=50ms", "hold:5,for=50ms", "hold:15,for=50ms"}, 15, 1, 10,
			"in stage 3 the server had places for 10 workers and no more: the other 5 waited for one; it may still have held polls of workers that had left",
		},
		{[]string{"hold:12,for=50ms"}, 12, 0, 12, ""},
	} {
		p := testPlan(target, c.most)
		p.Keys, p.Rounds, p.Stages = nil, 0, stagesOf(t, c.stages...)
		p.RequestTimeout, p.RoundTimeout = 6*time.Second, 5*time.Second
		rep, err := Run(bounded(t), p, Setup{})
		if err != nil || c.last >= 0 && rep.Held.Steady < 1 || rep.Held.Unfreed != 0 || rep.Held.Kept != c.kept || (rep.Verdict == reports.VerdictPass) != (c.kept == 0) {
			t.Errorf("%v: %v %s %v, held %+v, errors %v, notes %q", c.stages, err, rep.Verdict, rep.Reasons, rep.Held, rep.Errors, rep.Notes)
		}
		if c.full != "" && rep.Reasons[0] != c.full {
			t.Errorf("%v: %q", c.stages, rep.Reasons)
		}
		if last := rep.Stages[len(rep.Stages)-1]; c.last >= 0 && last.Held != c.last {
			t.Errorf("%v: at the end %+v", c.stages, last)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			u, err := facts.ReadUsage(facts.NewRoot("/"), pid)
			if err != nil {
				t.Fatal(err)
			}
			if before == 0 {
				before = u.FDs // with what its first requests had it open
			}
			if u.FDs <= before {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v: the server has %d descriptors, %d before", c.stages, u.FDs, before)
			}
		}
	}
}

// TestTellsWhatIsLeft has a server answer everything but the polls that would end
// others.
func TestTellsWhatIsLeft(t *testing.T) {
	const workers = 6
	f := newFake(workers)
	f.fault = func(s step, n int, w http.ResponseWriter, _ *http.Request) bool {
		refuse := s == stepPoll && n > workers
		if refuse {
			io.WriteString(w, wire.TextInvalid)
		}
		return refuse
	}
	p := testPlan(serve(t, f), workers)
	p.Rounds, p.Hold = 0, 100*time.Millisecond
	rep, err := Run(bounded(t), p, Setup{})
	if err != nil || rep.Held.Unfreed != workers || len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "may still hold 6 polls") || !strings.Contains(rep.Notes[0], wire.TextInvalid) {
		t.Errorf("%v, held %+v, notes %q", err, rep.Held, rep.Notes)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// gunicorn serves testdata/server.py until the test ends; pid is that of the worker
// process, which holds the connections.
func gunicorn(t *testing.T, env []string, args ...string) (target *url.URL, pid int) {
	t.Helper()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import bottle, gunicorn, gevent, nacl, msgpack").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s can't import bottle, gunicorn, gevent, nacl and msgpack: %v\n%s", python, err, out)
		}
		t.Skip("install gunicorn, python3-bottle, python3-gevent, python3-nacl and python3-msgpack to run it: ", err)
	}
	args = append([]string{"-m", "gunicorn", "-k", "gevent", "-b", "127.0.0.1:0", "--chdir", "testdata"}, args...)
	cmd := exec.Command(python, append(args, "server:app")...)
	cmd.Env = slices.Concat(os.Environ(), env, []string{"PYTHONDONTWRITEBYTECODE=1"})
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT) // at once: held polls are not waited for
		cmd.Wait()
	})
	listening := regexp.MustCompile(`Listening at: (\S+)`)
	booting := regexp.MustCompile(`Booting worker with pid: (\d+)`)
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			if target, err = url.Parse(m[1]); err != nil {
				t.Fatal(err)
			}
		}
		if m := booting.FindStringSubmatch(lines.Text()); m != nil && target != nil {
			if _, err := fmt.Sscan(m[1], &pid); err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, out)
			return target, pid
		}
	}
	t.Fatalf("gunicorn said:\n%s", said)
	return nil, 0
}
