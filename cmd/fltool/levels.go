package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// levels runs one level after another.
type levels struct {
	f          *capacityFlags
	thresholds []reports.Threshold
	stderr     io.Writer
	quiet      *loadgen.Quiet
	deployment *checks.Deployment
	said       map[int][]symptoms.Found // by level, in its last trial
	notes      []string
	looked     bool // for the deployment's facts
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
		return l.look(f.serverPID, l.quiet.Target())
	}
	return nil
}

// look reads this host's facts for the prediction.
func (l *levels) look(pid int, target netip.AddrPort) error {
	l.looked = true
	if len(l.f.facts) > 0 {
		return nil
	}
	o := facts.Options{
		Asked: facts.Asked{PID: pid, Port: int(target.Port()), URL: l.f.target}, Specs: kinds.Specs(), Parent: os.Getppid(), Now: time.Now(),
	}
	g, err := facts.Gather(facts.NewRoot("/"), o)
	if err == nil && behindNginx(g, target.Port()) {
		// The application is on another port: its own where it is known, else the default.
		o.Port = appPort(g)
		g, err = facts.Gather(facts.NewRoot("/"), o)
	}
	if err != nil {
		return cantError("", "read facts: %w", err)
	}
	d := checks.OneHost(onPath(g, target.Port()))
	l.deployment = &d
	return nil
}

// run is one level.
func (l *levels) run(ctx context.Context, workers int) (rep reports.Report, err error) {
	f := l.f.loadFlags // a copy: each level has its own size
	f.workers, f.rounds, f.hold = workers, l.f.perLevel, l.f.holdLevel
	var room *loadgen.RoomError
	if err := loadgen.CheckRoom(workers, strings.Count(f.sources, ",")+1); errors.As(err, &room) {
		rep := reports.Report{Verdict: reports.VerdictRefused, Reasons: []string{room.What}}
		l.tell(workers, rep)
		return rep, nil
	} else if err != nil {
		return rep, cantError("", "%v", err)
	}
	plan, _, err := f.plan()
	if err != nil {
		return rep, err
	}
	opts := loadgen.Options{ServerPID: f.serverPID, Own: f.target == "", Progress: progressTo(l.stderr)}
	left := ""
	if f.target == "" {
		child, cleanup, serr := f.serve(ctx, &plan)
		if serr != nil {
			return rep, serr
		}
		defer func() {
			// Read once it has ended: all that it said.
			err = errors.Join(err, cleanup())
			if err == nil {
				err = l.listen(workers, strings.NewReader(child.Said()))
			}
		}()
		plan.Target, opts.ServerPID, opts.Exited = child.URL, child.PID, child.Exited
		if !l.looked {
			addr, err := netip.ParseAddrPort(child.URL.Host)
			if err != nil {
				return rep, cantError("", "%v", err)
			}
			if err := l.look(child.PID, addr); err != nil {
				return rep, err
			}
		}
	} else if left, err = l.quiet.Wait(ctx, l.f.settle); err != nil {
		return rep, cantError("", "wait for the level before to end: %v", err)
	}
	logs, err := openLogs(l.f.logs)
	if err != nil {
		return rep, err
	}
	defer logs.close()
	if rep, err = loadgen.Run(ctx, plan, opts); err != nil {
		return rep, cantError("", "%v", err)
	}
	if err := rep.Judge(l.thresholds); err != nil {
		return rep, cantError("", "%v", err)
	}
	if left != "" && rep.Verdict == reports.VerdictFail {
		// It bore more than its own workers, so it proves nothing.
		rep.Verdict = reports.VerdictRefused
		rep.Reasons = append([]string{fmt.Sprintf("it began with %s %s after the level before: without them it might have held", left, l.f.settle)}, rep.Reasons...)
	}
	delete(l.said, workers)
	for _, log := range logs {
		if err := l.listen(workers, log); err != nil {
			return rep, err
		}
	}
	l.tell(workers, rep)
	return rep, nil
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

func (l *levels) tell(workers int, r reports.Report) {
	fmt.Fprintf(l.stderr, "%s: %s\n", render.Plural(workers, "worker"), levelLine(r))
}

// levelLine says what became of a level. One that only missed a service level was
// held all the same.
func levelLine(r reports.Report) string {
	outcome := loadgen.OutcomeOf(r)
	line := map[loadgen.Outcome]string{
		loadgen.LevelHeld: "held", loadgen.LevelFailed: "not held", loadgen.LevelUnknown: "can't tell",
	}[outcome]
	switch {
	case len(r.Reasons) == 0:
		return line
	case outcome == loadgen.LevelFailed && strings.HasPrefix(r.Reasons[0], "missed "): // what it lost would stand first
		return "held, but " + r.Reasons[0]
	}
	return line + ": " + r.Reasons[0]
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
