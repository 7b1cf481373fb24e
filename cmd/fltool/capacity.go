package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

type capacityFlags struct {
	loadFlags
	search    loadgen.Search
	holdLevel time.Duration
	settle    time.Duration
	perLevel  int
	plan      int
	facts     []string
	logs      []string
	output    outputFlags
}

// noErrors is the threshold of errors where --slo names none: any would end a
// worker of dc_federated's, or make it spin.
const noErrors = "errors<=0"

func newCapacity() *cobra.Command {
	f := capacityFlags{loadFlags: loadFlags{roundTimeout: time.Minute}}
	cmd := &cobra.Command{
		Use:   "capacity",
		Short: "How many workers can this deployment really hold?",
		Long: `Raise the number of workers level by level, and find the highest at which all
are held and every service level is met. Without --step the levels double up to
one that does not hold, and then halve what lies between.

Without --target each level gets a reference server of its own, started and
stopped by fltool. A --target is held only, unless --rounds-per-level says that
its rounds end with as many updates as there are workers.

The answer stands beside the prediction of preflight's checks, from this host or
from --facts. Exit codes: 0: as many as --to asks for (or, without --to, any);
1: fewer; 2: usage; 3: the generator was the limit, or no level could be run.`,
		Example: `  fltool capacity --to 1000 --slo 'fanout.p99<2s'
  fltool capacity --from 200 --step 200 --to 1000 --hold-level 10s
  fltool capacity --target http://127.0.0.1:8080 --keys keys --server-log /var/log/nginx/error.log
  fltool capacity --to 2000 --plan 50000 --out capacity.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.search.From, "from", 100, "workers of the first level")
	fl.IntVar(&f.search.To, "to", 0, "workers of the last level, and those asked for (0: up to where a level fails)")
	fl.IntVar(&f.search.Step, "step", 0, "workers from level to level (0: double, then halve)")
	fl.IntVar(&f.search.Within, "within", 0, "halve until the answer is known to so many workers (0: to 2 %)")
	fl.IntVar(&f.search.Confirm, "confirm", 1, "how many more times the answer must hold")
	fl.DurationVar(&f.holdLevel, "hold-level", 30*time.Second, "hold every level for so long")
	fl.IntVar(&f.perLevel, "rounds-per-level", 0, "rounds before the hold of each level (default 1 without --target)")
	fl.IntVar(&f.plan, "plan", 0, "tell what so many workers would need, by the slopes of this search")
	fl.StringArrayVar(&f.logs, "server-log", nil, "log of the server or its proxy: what it says during a level names the limit")
	fl.StringArrayVar(&f.facts, "facts", nil, "predict from saved facts: FILE, or proxy=FILE and app=FILE")
	fl.DurationVar(&f.settle, "settle", loadgen.DefaultSettle, "longest wait for the server to let go of the level before")
	f.add(cmd)
	f.output.add(cmd)
	return cmd
}

func (f *capacityFlags) run(cmd *cobra.Command) (err error) {
	start := time.Now()
	if err := f.check(cmd); err != nil {
		return err
	}
	thresholds, err := f.thresholds()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(thresholds, func(t reports.Threshold) bool { return t.Metric == "errors" }) {
		none, err := reports.ParseThreshold(noErrors)
		if err != nil {
			return err
		}
		thresholds = append(thresholds, none)
	}
	asked := f.search.To
	var notes []string
	if f.keys != "" {
		if notes, err = f.boundByKeys(); err != nil {
			return err
		}
	}
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	l := levels{f: f, thresholds: thresholds, stderr: stderr, said: map[int][]checks.Symptom{}}
	if f.target != "" {
		if err := l.aim(ctx); err != nil {
			return err
		}
	}
	if len(f.facts) > 0 {
		if l.deployment, err = readDeployment(f.facts); err != nil {
			return err
		}
	}
	found, err := f.search.Find(ctx, l.run)
	if err != nil && len(found.Tried) == 0 {
		return asExit(err)
	}
	if err != nil {
		// What was found until then may have taken an hour.
		found.Cut, found.AtLeast = true, true
		found.Notes = append(found.Notes, fmt.Sprintf("the search was ended by an error: %v", err))
	}
	rep := found.Report(asked)
	rep.Notes = append(append(f.notes(), notes...), append(l.notes, rep.Notes...)...)
	rep.Env.Tool, rep.Env.Command = "fltool "+toolVersion(), append([]string{"fltool"}, f.reproduce(cmd)...)
	rep.Env.Started, rep.Env.Seconds = start.UTC().Format(time.RFC3339Nano), time.Since(start).Seconds()
	if f.target == "" {
		rep.Env.Target = "" // of one level's server alone
		rep.Demand.ModelBytes = int64(f.modelSize)
	}
	if l.deployment != nil {
		_, ledger := checks.Run(*l.deployment, rep.Demand, nil, start)
		*rep.Capacity = checks.Predict(*rep.Capacity, ledger.Ledger)
	}
	if failed, ok := found.FailedReport(); ok {
		*rep.Capacity = checks.Name(*rep.Capacity, checks.Bind(failed, l.said[found.Failed]))
	}
	if f.plan > 0 {
		rep.Plan = reports.Extrapolate(f.plan, rep.Slopes)
	}
	if werr := f.output.write(cmd, rep); err == nil {
		return werr
	}
	return asExit(err)
}

// asExit keeps the exit code and hint of an error from below.
func asExit(err error) error {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit
	}
	return cantError("", "%w", err)
}

func (f *capacityFlags) check(cmd *cobra.Command) error {
	if err := f.output.check(); err != nil {
		return err
	}
	s := f.search
	switch {
	case s.From < 1 || s.To < 0 || s.Step < 0 || s.Within < 0 || s.Confirm < 0:
		return usageError("", "--from must be at least 1, and --to, --step, --within and --confirm not negative")
	case s.To > 0 && s.To < s.From && cmd.Flags().Changed("from"):
		return usageError("", "--to %d is below --from %d", s.To, s.From)
	case s.Step > 0 && s.Within > 0:
		return usageError("--within is for halving", "--step and --within exclude each other")
	case f.holdLevel < 0 || f.perLevel < 0 || f.plan < 0 || f.settle < 0:
		return usageError("", "--hold-level, --rounds-per-level, --plan and --settle can't be negative")
	case f.serverPID != 0 && f.target == "":
		return usageError("fltool measures the server that it starts", "--server-pid needs --target")
	}
	if s.To > 0 {
		f.search.From = min(s.From, s.To)
	}
	if f.target == "" && !cmd.Flags().Changed("rounds-per-level") {
		f.perLevel = 1
	}
	if f.holdLevel == 0 && f.perLevel == 0 {
		return usageError("", "--hold-level 0 without rounds: there is nothing to do")
	}
	if f.seed == 0 {
		f.seed = rand.Uint64()
	}
	return nil
}

// boundByKeys ends the search with the last worker that has a key.
func (f *capacityFlags) boundByKeys() (notes []string, err error) {
	n := 0
	for ; ; n++ {
		if _, err := os.Stat(wire.KeyFile(f.keys, n)); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return nil, usageError("", "--keys: %v", err)
		}
	}
	switch {
	case n == 0:
		return nil, usageError("fltool keys generate makes a key folder", "--keys %s: it has no %s0", f.keys, wire.KeyFilePrefix)
	case n < f.search.To:
		return nil, usageError("fltool keys generate makes a key folder", "--keys %s: it has %d keys, and --to is %d", f.keys, n, f.search.To)
	case f.search.To == 0:
		f.search.To, f.search.From = n, min(f.search.From, n)
		notes = []string{fmt.Sprintf("the search ends at %d workers: the key folder has no more keys", n)}
	}
	return notes, nil
}

// notes are what the figures mean.
func (f *capacityFlags) notes() []string {
	notes := []string{"nothing is left out as a warm-up: in every level registration, the first model and the first round count; a hold counts from the moment when all polls are held"}
	switch {
	case f.target == "":
		notes = append(notes, "every level had a reference server of its own, started anew")
	case f.perLevel == 0:
		notes = append(notes, "polls were held only, no rounds run: how the target ends a round is not known (--rounds-per-level)")
	}
	if f.target != "" && f.serverPID != 0 {
		notes = append(notes, "one server lived through all levels: memory that it keeps counts in the levels after")
	}
	return notes
}

// levels runs one level after another.
type levels struct {
	f          *capacityFlags
	thresholds []reports.Threshold
	stderr     io.Writer
	quiet      *loadgen.Quiet
	deployment *checks.Deployment
	said       map[int][]checks.Symptom // by level, in its last trial
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
		Asked: facts.Asked{PID: pid, Port: int(target.Port()), URL: withoutUser(l.f.target)}, Parent: os.Getppid(), Now: time.Now(),
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
	opts := loadgen.Options{ServerPID: f.serverPID, Progress: progressTo(l.stderr)}
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
	found, _, err := checks.ScanLog(log)
	if err != nil {
		return cantError("", "read the server's log: %w", err)
	}
	l.said[workers] = append(l.said[workers], found...)
	return nil
}

func (l *levels) tell(workers int, r reports.Report) {
	line := fmt.Sprintf("%d workers: %s", workers, map[loadgen.Outcome]string{
		loadgen.LevelHeld: "held", loadgen.LevelFailed: "not held", loadgen.LevelUnknown: "can't tell",
	}[loadgen.OutcomeOf(r)])
	if len(r.Reasons) > 0 {
		line += ": " + r.Reasons[0]
	}
	fmt.Fprintln(l.stderr, line)
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

func readDeployment(args []string) (*checks.Deployment, error) {
	d, err := readFacts(args)
	return &d, err
}
