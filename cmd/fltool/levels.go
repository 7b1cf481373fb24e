package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// levels runs one level after another.
type levels struct {
	f          *capacityFlags
	thresholds []reports.Threshold
	following  *following
	quiet      *loadgen.Quiet
	deployment *checks.Deployment
	tried      []loadgen.Tried          // so far
	said       map[int][]symptoms.Found // by level, in its last trial
	notes      []string
	looked     bool   // for the deployment's facts
	kept       string // what the server keeps of a level, which it can't be told to let go of; "": nothing
}

// aim looks at the target before the first level.
func (l *levels) aim(ctx context.Context) error {
	f := l.f.loadFlags
	f.workers, f.hold = 1, l.f.holdLevel
	plan, _, err := f.plan()
	if err != nil {
		return err
	}
	if err := loadgen.CheckTarget(ctx, plan.Target, plan.TLS); err != nil {
		return targetError(err)
	}
	if l.quiet, err = loadgen.NewQuiet(ctx, plan.Target, f.serverPID); err != nil {
		return cantError("", "%v", err)
	}
	if len(l.f.facts) == 0 {
		local, err := l.quiet.Local()
		if err != nil {
			return cantError("", "%v", err)
		}
		if !local {
			l.notes = append(l.notes, "no prediction: the target is on another host (fltool preflight --save-facts there, then --facts here)")
			return nil
		}
		if err := l.look(f.serverPID, l.quiet.Target()); err != nil {
			return err
		}
		return l.findServer(ctx, plan.Target)
	}
	return nil
}

// findServer measures the one server of this host that the target can be, unless
// --server-pid names it.
func (l *levels) findServer(ctx context.Context, target *url.URL) (err error) {
	pid := serverOf(l.deployment.App.Processes.V)
	if l.f.serverPID != 0 || pid == 0 || loadgen.CheckServer(pid) != nil {
		return nil
	}
	l.f.serverPID = pid
	l.notes = append(l.notes, fmt.Sprintf("process %d was measured as the server, since it listens there (--server-pid names another)", pid))
	if l.quiet, err = loadgen.NewQuiet(ctx, target, pid); err != nil {
		return cantError("", "%v", err)
	}
	return nil
}

// serverOf is the process that all others of the application descend from; 0 where
// there is none, or there are several.
func serverOf(all []facts.Process) (pid int) {
	in := map[int]bool{}
	for _, p := range all {
		in[p.PID] = p.Serves()
	}
	for _, p := range all {
		switch {
		case !p.Serves() || in[p.PPID]:
		case pid != 0:
			return 0
		default:
			pid = p.PID
		}
	}
	return pid
}

// look reads this host's facts for the prediction.
func (l *levels) look(pid int, target netip.AddrPort) error {
	l.looked = true
	if len(l.f.facts) > 0 {
		return nil
	}
	var err error
	l.deployment, err = deploymentHere(pid, target, l.f.target)
	return err
}

// run is one level. Where the generator could not keep up with the arrivals it is tried
// again once, with these slowed.
func (l *levels) run(ctx context.Context, workers int) (loadgen.Tried, error) {
	f := l.f.loadFlags // a copy: each level has its own size
	f.workers, f.rounds, f.hold = workers, l.f.perLevel, l.f.holdLevel
	t, err := l.once(ctx, f)
	if g := t.Report.Generator; err == nil && ctx.Err() == nil && g != nil && g.LagP99Seconds > f.maxLag.Seconds() {
		f.ramp = slowing * max(f.ramp, time.Duration(workers)*loadgen.ArrivalEvery)
		l.tell(workers, t)
		fmt.Fprintf(l.following.stderr, "%s: once more, with arrivals over %s\n", render.Plural(workers, "worker"), f.ramp)
		t, err = l.once(ctx, f)
	}
	if err == nil {
		l.tell(workers, t)
		t.Workers = workers
		l.tried = append(l.tried, t)
		l.following.board.Ended(t.Report.Verdict, loadgen.Found{Tried: l.tried}.Report(workers).Levels...)
	}
	return t, err
}

// slowing is how many times longer the arrivals of a level take that is tried again.
const slowing = 4

// once runs a level.
func (l *levels) once(ctx context.Context, f loadFlags) (t loadgen.Tried, err error) {
	t = loadgen.Tried{Result: loadgen.LevelUnknown, Report: reports.Report{Verdict: reports.VerdictRefused}}
	var room *loadgen.RoomError
	if err := loadgen.CheckRoom(f.workers, 1, 1, strings.Count(f.sources, ",")+1); errors.As(err, &room) {
		t.Report.Reasons = []string{room.What}
		return t, nil
	} else if err != nil {
		return t, cantError("", "%v", err)
	}
	plan, _, err := f.plan()
	if err != nil {
		return t, err
	}
	l.following.next("level")
	plan.StrictLag = true // a level is what all send at once
	opts := loadgen.Setup{ServerPID: f.serverPID, Own: f.target == "", Progress: l.following.tell}
	child, cleanup, err := f.start(ctx, &plan)
	if err != nil {
		return t, err
	}
	delete(l.said, f.workers)
	defer func() {
		// Read once it has ended: all that it said.
		err = errors.Join(err, cleanup())
		if err == nil && child != nil {
			err = l.listen(f.workers, strings.NewReader(child.Said()))
		}
	}()
	switch {
	case child != nil:
		plan.Target, opts.ServerPID, opts.Exited = child.URL, child.PID, child.Exited
		if err := l.lookOnce(ctx, plan.Target, child.PID); err != nil {
			return t, err
		}
	case l.kept != "":
		t.Result, t.Report.Reasons = loadgen.LevelSpoiled, []string{l.kept}
		return t, nil
	default:
		if t.Remains, err = l.settle(ctx); err != nil {
			return t, cantError("", "wait for the level before to end: %v", err)
		}
	}
	if d := l.deployment; d != nil {
		l.following.limit(func() *reports.Row { return nearest(*d, f.asked()) })
	}
	logs, err := openLogs(l.f.logs)
	if err != nil {
		return t, err
	}
	defer logs.close()
	if t.Report, err = loadgen.Run(ctx, plan, opts); err != nil {
		return t, cantError("", "%v", err)
	}
	if err := t.Report.Judge(l.thresholds); err != nil {
		return t, cantError("", "%v", err)
	}
	t.Result = loadgen.LevelResultOf(t.Report)
	if t.Remains != "" && t.Result == loadgen.LevelFailed {
		t.Result, t.Report.Verdict = loadgen.LevelSpoiled, reports.VerdictRefused
		t.Report.Reasons = append([]string{fmt.Sprintf("it began with %s %s after the level before: without them it might have held; %s", t.Remains, l.f.settle, goOn)}, t.Report.Reasons...)
	}
	if h := t.Report.Held; h != nil && h.Unfreed > 0 && child == nil {
		l.kept = fmt.Sprintf("the server still holds %s of the level of %d and can't be told to let go; %s", render.Plural(h.Unfreed, "poll"), f.workers, goOn)
	}
	for _, log := range logs {
		if err := l.listen(f.workers, log); err != nil {
			return t, err
		}
	}
	return t, nil
}

// goOn says how to go on where a server keeps what a level left.
const goOn = "restart the server to go on, or have --server-command start a fresh one for each level"

// settle waits for the server to let go of the level before, and says what is left.
func (l *levels) settle(ctx context.Context) (left string, err error) {
	const soon = time.Second
	left, err = l.quiet.Wait(ctx, min(soon, l.f.settle))
	if rest := l.f.settle - soon; left != "" && err == nil && rest > 0 {
		fmt.Fprintf(l.following.stderr, "waiting up to %s (--settle) for the server to let go of the level before: %s\n", rest, left)
		left, err = l.quiet.Wait(ctx, rest)
	}
	return left, err
}

// lookOnce reads the facts for the prediction beside the first server that fltool
// started.
func (l *levels) lookOnce(ctx context.Context, target *url.URL, pid int) error {
	if l.looked {
		return nil
	}
	q, err := loadgen.NewQuiet(ctx, target, 0)
	if err != nil {
		return cantError("", "%v", err)
	}
	if pid, err = facts.Serving(facts.NewRoot("/"), pid); err != nil {
		return cantError("", "read facts: %w", err)
	}
	return l.look(pid, q.Target())
}

// listen keeps what a log says of a level.
func (l *levels) listen(workers int, log io.Reader) error {
	scan, err := symptoms.Scan(log)
	if err != nil {
		return cantError("", "read the server's log: %w", err)
	}
	l.said[workers] = append(l.said[workers], scan.Found...)
	return nil
}

func (l *levels) tell(workers int, t loadgen.Tried) {
	fmt.Fprintf(l.following.stderr, "%s: %s\n", render.Plural(workers, "worker"), levelLine(t))
}

// levelLine says what became of a level. One that only missed a service level was
// held all the same.
func levelLine(t loadgen.Tried) string {
	line := map[loadgen.LevelResult]string{
		loadgen.LevelHeld: "held", loadgen.LevelFailed: "not held", loadgen.LevelUnknown: "can't tell", loadgen.LevelSpoiled: "can't tell",
	}[t.Result]
	why := t.Report.Reasons
	switch {
	case len(why) == 0:
		return line
	case t.Result == loadgen.LevelFailed && strings.HasPrefix(why[0], "missed "): // what it lost would stand first
		return "held, but " + why[0]
	}
	return line + ": " + why[0]
}

// openedLogs are logs that are read from where they ended when they were opened.
type openedLogs []*os.File

func openLogs(paths []string) (openedLogs, error) {
	var all openedLogs
	for _, path := range paths {
		log, err := os.Open(path)
		if err == nil {
			all = append(all, log)
			_, err = log.Seek(0, io.SeekEnd)
		}
		if err != nil {
			all.close()
			return nil, cantError("", "--server-log: %w", err)
		}
	}
	return all, nil
}

func (o openedLogs) close() {
	for _, log := range o {
		log.Close()
	}
}

// behindNginx says whether nginx listens on the port.
func behindNginx(f facts.Facts, port uint16) bool {
	return slices.ContainsFunc(f.Processes.V, func(p facts.Process) bool {
		return p.Kind == facts.KindNginx && p.ListensOn(port)
	})
}

// appPort is where the application listens; 0: nobody can say.
func appPort(f facts.Facts) int {
	for _, p := range f.Processes.V {
		if p.Serves() && len(p.Listen.V) > 0 {
			return int(p.Listen.V[0].Addr.Port())
		}
	}
	return 0
}

// onPath takes out of the facts every nginx that requests to the port don't pass.
func onPath(f facts.Facts, port uint16) facts.Facts {
	if !f.Processes.Known() {
		return f
	}
	passed := map[int]bool{} // masters, by process id
	for _, p := range f.Processes.V {
		passed[p.PID] = p.Kind == facts.KindNginx && p.ListensOn(port)
	}
	f.Processes.V = slices.DeleteFunc(slices.Clone(f.Processes.V), func(p facts.Process) bool {
		return p.Kind == facts.KindNginx && !passed[p.PID] && !passed[p.PPID]
	})
	if behindNginx(f, port) {
		return f
	}
	why := fmt.Sprintf("no nginx listens on port %d", port)
	f.HasNginx = facts.Value[bool]{V: false, Source: why}
	f.Nginx = facts.Value[*facts.Nginx]{Source: why}
	f.NginxUnit = facts.Value[*facts.Unit]{Source: why}
	return f
}
