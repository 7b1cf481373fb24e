package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

var appChecks = []Check{
	{
		ID: "app/found", Title: "a server of the application runs", Severity: reports.SeverityInfo, On: OnApp,
		Reads: []string{"/proc/PID/cmdline, stat, fd", "/proc/net/tcp"},
		Why: `Limits belong to processes. Those of a running server are what it has; those of a shell or of a
unit file are only what it would get. A server is known by its name (gunicorn, fltool serve) or by the port it listens on.`,
		Symptom: "the other answers are about what would be started, not about what runs; nginx answers 502",
		Mend:    "Start the server and run preflight again, or name it by --pid, --service or --user.",
		Eval:    evalFound,
	},
	{
		ID: "app/unit-pending", Title: "the running server has its unit's limit", Severity: reports.SeverityWarn, On: OnApp,
		Reads: []string{"/proc/PID/limits", "the unit file and its drop-ins, merged as systemd does"},
		Why: `systemd applies LimitNOFILE= when it starts a service. An edited unit changes nothing for a process
that runs already, nor does a daemon-reload. Where something else explains the limit (ulimit in what it starts, a
container, supervisord's minfds) a restart changes nothing, and none is asked for. systemd cuts a value above fs.nr_open, and
infinity, to PID 1's own hard limit; where that is above fs.nr_open too the service does not start.`,
		Symptom: "the unit says one thing and the server still fails at another",
		Mend:    "Restart the service. Held polls are cut by that, and dc_federated's workers end with them unless supervised.",
		Eval:    evalUnitPending,
	},
	{
		ID: "app/nofile", Title: "descriptors of the application", Severity: reports.SeverityError, On: OnApp,
		After:   []string{"app/unit-pending", "host/nr-open"},
		Reads:   []string{"/proc/PID/limits of the running server", "else LimitNOFILE= of its unit", "else limits.conf and limits.d for its user's login", "else the shell that starts it"},
		Formula: "app-descriptors",
		Why: `A held poll is an open connection, and that is one descriptor. Python lives under the soft limit; a Go
server, if built with Go 1.19 or newer, raises its soft limit to the hard one itself. systemd gives services 1024 by
default, 524288 hard from version 240 on and 4096 before, and heeds no limits.conf.`,
		Symptom: "OSError: [Errno 24] Too many open files; new requests hang",
		Mend: `For a service, LimitNOFILE= in a drop-in, then a restart; for one of a user's systemd by systemctl --user edit.
For a login, a line that names the user in /etc/security/limits.d, then a new login (no reboot). OpenRC: rc_ulimit in
/etc/conf.d; runit and s6: ulimit in the run script; supervisord: minfds; NixOS: the system's configuration. A
container's limit is set where it is started: --ulimit, ulimits of compose, Ulimit= of a quadlet; for Kubernetes in the
node's runtime.`,
		Eval: evalNoFile,
	},
	{
		ID: "app/limits-conf", Title: "limits.conf reaches the application", Severity: reports.SeverityWarn, On: OnApp,
		Reads: []string{"/etc/security/limits.conf and limits.d/*.conf, or the vendor's in /usr/etc/security", "pam.d and UsePAM of sshd_config", "/proc/PID/cgroup and the process's parents"},
		Why: `limits.conf works through pam_limits, and so for login sessions alone, where sshd uses PAM and the stack
in pam.d has the module. A service of systemd never sees it, unless it asks for a session by PAMName=; nor does a
container. On Debian and Ubuntu lines of * and @group do not apply to root; elsewhere they do. A hard limit above
fs.nr_open can't be set: there the line changes nothing, or the login is refused.`,
		Symptom: "limits.conf was edited, the host perhaps rebooted, and nothing changed",
		Mend:    "For a service set LimitNOFILE= in a drop-in; for root write a line that names root; for logins by ssh set UsePAM yes.",
		Eval:    evalLimitsConf,
	},
	{
		ID: "app/worker-class", Title: "gunicorn's workers do not block on a poll", Severity: reports.SeverityError, On: OnApp,
		Reads:   []string{"gunicorn's command line", "GUNICORN_CMD_ARGS", "its config file, where that is plain data"},
		Formula: "gunicorn-blocking",
		Why:     `A sync worker serves one request at a time and gthread one a thread; a held poll is a request that does not end.`,
		Symptom: "as many workers as gunicorn has processes and threads are held, all others hang",
		Mend:    "Start gunicorn with -k gevent (and python3-gevent installed).",
		Eval:    evalWorkerClass,
	},
	{
		ID: "app/worker-connections", Title: "gunicorn's worker_connections", Severity: reports.SeverityError, On: OnApp,
		After:   []string{"app/worker-class"},
		Reads:   []string{"gunicorn's command line", "GUNICORN_CMD_ARGS", "its config file, where that is plain data"},
		Formula: "gunicorn-connections",
		Why: `gevent and eventlet workers accept worker_connections connections, 1000 by default. Idle keep-alive
connections count. At one more worker than that the last one waits for ever, and with it a round that waits for all.`,
		Symptom: "exactly as many workers as the setting are held; the rest hang or are reset, and the round never ends",
		Mend: `Set worker_connections to twice the workers and 64. Where the program starts gunicorn itself, as
dc_federated does, the environment variable GUNICORN_CMD_ARGS="--worker-connections N" sets it without a change of code.`,
		Eval: evalWorkerConnections,
	},
	{
		ID: "app/processes", Title: "one process holds the application's state", Severity: reports.SeverityError, On: OnApp,
		Reads: []string{"gunicorn's command line", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"},
		Why: `dc_federated keeps registrations, challenges and the model's version in memory. With two worker
processes each has its own, and a worker talks to either as it happens.`,
		Symptom: "Unregistered Worker and Invalid Worker at random, and rounds that never end",
		Mend:    "Run one process: --workers 1, and no WEB_CONCURRENCY.",
		Eval:    evalProcesses,
	},
	{
		ID: "app/timeout", Title: "gunicorn does not kill a worker that holds a poll", Severity: reports.SeverityError, On: OnApp,
		After: []string{"app/worker-class"},
		Reads: []string{"gunicorn's command line", "GUNICORN_CMD_ARGS", "its config file, where that is plain data"},
		Why: `gunicorn kills a worker process that is silent for longer than timeout, 30 s by default. A sync worker
is silent while it holds a poll. With threads (gthread) or gevent the process says that it lives while polls are held:
there the timeout is a heartbeat only.`,
		Symptom: "WORKER TIMEOUT in gunicorn's log every 30 s; all polls of that process are cut",
		Mend:    "Use gevent workers; with sync set --timeout above the longest hold, or 0.",
		Eval:    evalTimeout,
	},
	{
		ID: "app/keepalive", Title: "gunicorn keeps idle connections for long enough", Severity: reports.SeverityInfo, On: OnApp,
		Reads: []string{"gunicorn's command line", "GUNICORN_CMD_ARGS", "its config file, where that is plain data"},
		Why: `gunicorn closes a connection that is idle for keepalive seconds, 2 by default. A worker trains for
longer than that, and its next request may meet the close half-way. Behind nginx without upstream keep-alive it does not matter.`,
		Symptom: "now and then a worker's request after training is reset",
		Mend:    "Set --keep-alive to more than the time that workers think, for instance 75.",
		Eval:    evalKeepalive,
	},
	{
		ID: "app/graceful-timeout", Title: "a reload of gunicorn waits for held polls", Severity: reports.SeverityInfo, On: OnApp,
		Reads: []string{"gunicorn's command line", "GUNICORN_CMD_ARGS", "its config file, where that is plain data"},
		Why: `On a reload gunicorn gives requests graceful_timeout seconds, 30 by default, and cuts what is left. A
poll that is cut without a reply ends dc_federated's worker for good.`,
		Symptom: "after a reload the fleet is gone",
		Mend:    "Reload between rounds, or set --graceful-timeout above the longest hold; supervise the workers in any case.",
		Eval:    evalGraceful,
	},
	{
		ID: "app/accept-queue", Title: "the accept queue takes a burst of reconnects", Severity: reports.SeverityWarn, On: OnApp,
		Reads: []string{"gunicorn's backlog", "net.core.somaxconn"},
		Why: `After a restart all workers connect at once. Connections wait in the accept queue, which holds the
smaller of the server's backlog (gunicorn: 2048, Go: somaxconn) and net.core.somaxconn. What other servers ask for can't be
seen.`,
		Symptom: "slow connects of 1 s, 3 s, 7 s after a restart; ListenOverflows grows",
		Mend:    "Raise net.core.somaxconn, and the server's backlog with it, to the number of workers.",
		Eval:    evalAcceptQueue,
	},
	{
		ID: "app/pids", Title: "room for the application's processes and threads", Severity: reports.SeverityError, On: OnApp,
		Reads:   []string{"pids.max and pids.current of the control group", "else TasksMax= of the unit", "RLIMIT_NPROC in /proc/PID/limits", "kernel.pid_max", "kernel.threads-max", "the threads of the servers that run"},
		Formula: "tasks",
		Why: `With gevent held polls need no thread each, but a restart runs the new beside the old for a moment. A
container with a handful of pids can't even do that. With gthread each held poll is a thread.`,
		Symptom: "fork: Resource temporarily unavailable; can't start new thread, by which a gthread worker ends and cuts its polls",
		Mend:    "Raise TasksMax= of the unit or --pids-limit of the container; for a login raise nproc in limits.d.",
		Eval:    evalPIDs,
	},
}

func evalFound(c Case) Outcome {
	procs, known := c.appProcesses()
	if !known {
		return cantTell("processes", c.Processes)
	}
	if len(procs) == 0 {
		s := c.app()
		if s.err != "" {
			return fail("no server runs", "a server on port "+fmt.Sprint(c.Asked.Port), c.Processes.Source, reports.Remedy{Text: s.err})
		}
		return fail("no server runs; judged: "+s.who, "a server on port "+fmt.Sprint(c.Asked.Port), c.Processes.Source,
			reports.Remedy{Text: "start the server and run preflight again, or name it by --pid, --service or --user"})
	}
	var names []string
	for _, p := range procs {
		names = append(names, fmt.Sprintf("%s %d", p.Kind, p.PID))
	}
	return pass(strings.Join(names, ", "), c.Processes.Source)
}

func evalNoFile(c Case) Outcome {
	s := c.app()
	if s.err != "" {
		return unknownFor("%s", s.err)
	}
	if !s.nofile.Known() {
		return cantTell("NOFILE of "+s.who, s.nofile)
	}
	need := descriptorsFor(c.Demand.Workers, s.baseFDs())
	if s.refused != "" {
		return c.limits(Capacity{}, s.refused, fmt.Sprintf("%d, or what fs.nr_open allows", need), s.nofile.Source, func() reports.Remedy { return c.nofileRemedy(s, need) })
	}
	n := byDescriptors(s.limit(), s.baseFDs())
	o := c.limits(Capacity{Safe: n, Hard: n, InUse: s.inUse, Unit: "fds"},
		fmt.Sprintf("%v for %s%s%s", s.limit(), s.who, s.cut(), c.skipped(s.unit)), fmt.Sprintf("%d: one a poll and %d", need, s.baseFDs()), s.nofile.Source,
		func() reports.Remedy { return c.nofileRemedy(s, need) })
	// The unit gives enough already: what is missing is the restart.
	if u := s.serviceUnit; o.Status == reports.StatusFail && u != nil && u.NoFile.Known() && s.process != nil && !unitLimit(u, s.goes).Below(need) && !c.attainable(s.unit, s.nofile.V.Hard).Below(need) && s.inUse.Known() {
		if is, _ := pendingLimit(u, *s.process); is {
			o.Remedy = reports.Remedy{Text: fmt.Sprintf("%s gives %s; restart it", u.NoFile.Source, askedOf(u)), Commands: restartCommands(u)[1:], Then: "restart"}
		}
	}
	return o
}

// skipped names the lines of a unit that set LimitNOFILE= in words that systemd
// does not know, as "unlimited", and so skips.
func (c Case) skipped(unit string) string {
	u := c.Service.V
	if u == nil || u.Name != unit || len(u.Ignored) == 0 {
		return ""
	}
	return "; systemd can't read and skips " + strings.Join(u.Ignored, ", ")
}

func unitLimit(u *facts.Unit, goes bool) facts.Limit {
	if goes {
		return u.NoFile.V.Hard
	}
	return u.NoFile.V.Soft
}

func evalUnitPending(c Case) Outcome {
	procs, known := c.appProcesses()
	switch {
	case !known:
		return cantTell("processes", c.Processes)
	case len(procs) == 0:
		return notApplicable("no server runs")
	case !c.Service.Known():
		return cantTell("unit", c.Service)
	}
	return pending(c.Service.V, procs)
}

// withGunicorn runs a check that is about gunicorn alone.
func withGunicorn(eval func(Case, *facts.Gunicorn) Outcome) func(Case) Outcome {
	return func(c Case) Outcome {
		g, unknown := c.gunicorn()
		switch {
		case unknown != nil:
			return *unknown
		case g == nil:
			return c.noGunicorn()
		}
		return eval(c, g)
	}
}

// gunicornRemedy changes a setting by the environment where that decides, and
// by words where a command line or existing GUNICORN_CMD_ARGS would win.
func (c Case) gunicornRemedy(g *facts.Gunicorn, flag, from string) reports.Remedy {
	s := c.app()
	// A variable of somebody else's may hold more flags than fltool keeps; its
	// own drop-in's are merged.
	dropIn := "/etc/systemd/system/" + s.unit + ".d/" + facts.OwnName
	ours := strings.Contains(c.Own.V[dropIn], "GUNICORN_CMD_ARGS")
	wins := strings.Contains(from, "cmdline") || strings.Contains(from, ".service") && !strings.HasPrefix(from, dropIn+":")
	if s.unit != "" && c.Systemd.V && (!g.EnvArgs || ours) && !wins {
		return c.unitRemedy(s.unit, "", fmt.Sprintf(`Environment="GUNICORN_CMD_ARGS=%s"`, flag), "set it for the service by GUNICORN_CMD_ARGS")
	}
	text := fmt.Sprintf("start gunicorn with %s", flag)
	switch {
	case g.EnvArgs && strings.Contains(from, "GUNICORN_CMD_ARGS"):
		text = fmt.Sprintf("change GUNICORN_CMD_ARGS to hold %s", flag)
	case g.EnvArgs:
		text = fmt.Sprintf("add %s to GUNICORN_CMD_ARGS", flag)
	case strings.Contains(from, "cmdline") || strings.Contains(from, ".service"):
		text = fmt.Sprintf("change the command line that starts gunicorn to hold %s: it wins over file and environment", flag)
	case g.Embedded:
		text = fmt.Sprintf(`start the program with GUNICORN_CMD_ARGS="%s" in its environment`, flag)
	}
	return reports.Remedy{Text: text, Then: "restart"}
}

var evalWorkerClass = withGunicorn(func(c Case, g *facts.Gunicorn) Outcome {
	if !g.WorkerClass.Known() {
		return cantTell("worker class", g.WorkerClass)
	}
	switch g.WorkerClass.V {
	case "gevent", "eventlet":
		return pass(g.WorkerClass.V, g.WorkerClass.Source)
	case "sync", "gthread":
	default:
		return unknownFor("worker class %s: whether it blocks on a poll is not known", g.WorkerClass.V)
	}
	if !g.Workers.Known() {
		return cantTell("processes", g.Workers)
	}
	threads, source := 1, g.WorkerClass.Source
	if g.WorkerClass.V == "gthread" {
		if !g.Threads.Known() {
			return cantTell("threads", g.Threads)
		}
		threads, source = g.Threads.V, g.Threads.Source // more than one thread makes sync gthread
	}
	n := byBlocking(g.Workers.V, threads)
	return c.limits(Capacity{Safe: n, Hard: n},
		fmt.Sprintf("%s, %d × %d", g.WorkerClass.V, g.Workers.V, threads), "gevent", source,
		func() reports.Remedy {
			flags := "--worker-class gevent"
			if want := gunicornConnectionsFor(c.Demand.Workers); g.WorkerConnections.V < want {
				flags += fmt.Sprintf(" --worker-connections %d", want) // or that fails next
			}
			return c.gunicornRemedy(g, flags, g.WorkerClass.Source)
		})
})

var evalWorkerConnections = withGunicorn(func(c Case, g *facts.Gunicorn) Outcome {
	if !g.WorkerClass.Known() {
		return cantTell("worker class", g.WorkerClass)
	}
	if g.WorkerClass.V == "sync" {
		return notApplicable("sync workers hold one connection each")
	}
	if !g.WorkerConnections.Known() {
		return cantTell("worker_connections", g.WorkerConnections)
	}
	safe, hard := byGunicornConnections(g.WorkerConnections.V)
	want := gunicornConnectionsFor(c.Demand.Workers)
	return c.limits(Capacity{Safe: safe, Hard: hard, InUse: c.connections(false), Unit: "connections"},
		fmt.Sprint(g.WorkerConnections.V), fmt.Sprintf("%d: two a worker and %d", want, gunicornSpare), g.WorkerConnections.Source,
		func() reports.Remedy {
			return c.gunicornRemedy(g, fmt.Sprintf("--worker-connections %d", want), g.WorkerConnections.Source)
		})
})

var evalProcesses = withGunicorn(func(c Case, g *facts.Gunicorn) Outcome {
	if !g.Workers.Known() {
		return cantTell("workers", g.Workers)
	}
	if g.Workers.V > 1 {
		return fail(fmt.Sprintf("%d processes", g.Workers.V), "1: its state is in memory", g.Workers.Source, c.gunicornRemedy(g, "--workers 1", g.Workers.Source))
	}
	return pass("1 process", g.Workers.Source)
})

// heartbeat says whether gunicorn's timeout is a heartbeat only with a class of
// workers: whether they tell that they live while they hold a poll.
func heartbeat(class string) (only, known bool) {
	switch class {
	case "sync":
		return false, true
	case "gthread", "gevent", "eventlet", "tornado":
		return true, true
	}
	return false, false
}

var evalTimeout = withGunicorn(func(c Case, g *facts.Gunicorn) Outcome {
	if !g.WorkerClass.Known() {
		return cantTell("worker class", g.WorkerClass)
	}
	switch only, known := heartbeat(g.WorkerClass.V); {
	case !known:
		return unknownFor("worker class %s: whether it is silent while it holds a poll is not known", g.WorkerClass.V)
	case only:
		return notApplicable("with %s the timeout is a heartbeat only", g.WorkerClass.V)
	}
	if !g.Timeout.Known() {
		return cantTell("timeout", g.Timeout)
	}
	if g.Timeout.V == 0 || g.Timeout.V > c.Demand.HoldSeconds {
		return pass(seconds(g.Timeout.V), g.Timeout.Source)
	}
	return fail(seconds(g.Timeout.V), "more than the hold of "+seconds(c.Demand.HoldSeconds)+", or gevent", g.Timeout.Source,
		c.gunicornRemedy(g, "--worker-class gevent", g.Timeout.Source))
})

var evalKeepalive = withGunicorn(func(c Case, g *facts.Gunicorn) Outcome {
	const enough = 60 // seconds, as long as a training of a small model
	proxy := c.Deployment.Proxy.HasNginx
	switch {
	case !proxy.Known():
		return cantTell("nginx", proxy)
	case proxy.V:
		return notApplicable("nginx is in front: it decides how long connections live")
	case !g.Keepalive.Known():
		return cantTell("keepalive", g.Keepalive)
	case g.Keepalive.V < enough:
		return fail(seconds(g.Keepalive.V), "more than workers think", g.Keepalive.Source, c.gunicornRemedy(g, "--keep-alive 75", g.Keepalive.Source))
	}
	return pass(seconds(g.Keepalive.V), g.Keepalive.Source)
})

var evalGraceful = withGunicorn(func(c Case, g *facts.Gunicorn) Outcome {
	if !g.GracefulTimeout.Known() {
		return cantTell("graceful_timeout", g.GracefulTimeout)
	}
	if g.GracefulTimeout.V > c.Demand.HoldSeconds {
		return pass(seconds(g.GracefulTimeout.V), g.GracefulTimeout.Source)
	}
	return fail(seconds(g.GracefulTimeout.V), "more than the hold of "+seconds(c.Demand.HoldSeconds), g.GracefulTimeout.Source,
		reports.Remedy{Text: "reload between rounds, or " + lower(c.gunicornRemedy(g, fmt.Sprintf("--graceful-timeout %.0f", c.Demand.HoldSeconds+60), g.GracefulTimeout.Source).Text)})
})

func evalAcceptQueue(c Case) Outcome {
	max := c.Sysctls.SoMaxConn
	if !max.Known() {
		return cantTell("net.core.somaxconn", max)
	}
	queue, from := max.V, max.Source
	g, unknown := c.gunicorn()
	if unknown != nil {
		return *unknown
	}
	// Go's servers ask for as much as the kernel gives. What others ask for, nobody
	// can say, but that more than the kernel's is cut.
	if g == nil && !c.goes() && queue >= int64(c.Demand.Workers) {
		return unknownFor("what backlog the server asks for is not known")
	}
	if g != nil {
		if !g.Backlog.Known() {
			return cantTell("backlog", g.Backlog)
		}
		if b := int64(g.Backlog.V); b < queue {
			queue, from = b, g.Backlog.Source
		}
	}
	if queue >= int64(c.Demand.Workers) {
		return pass(fmt.Sprint(queue), from)
	}
	size := powerOfTwo(int64(c.Demand.Workers))
	var r reports.Remedy
	if g != nil && int64(g.Backlog.V) < int64(c.Demand.Workers) {
		r = c.gunicornRemedy(g, fmt.Sprintf("--backlog %d", size), g.Backlog.Source)
	}
	if max.V < int64(c.Demand.Workers) {
		r = both(c.sysctlRemedy("let the kernel queue every worker", fmt.Sprintf("net.core.somaxconn = %d", size)), r)
		r.Then = "restart"
	}
	return fail(fmt.Sprint(queue), fmt.Sprintf("%d, all workers at once", c.Demand.Workers), from, r)
}

// goes says whether the application is known to be a Go program, running or as its
// unit would start it.
func (c Case) goes() bool {
	procs, _ := c.appProcesses()
	if len(procs) == 0 {
		return c.Service.V != nil && c.Service.V.Executable == "fltool"
	}
	return !slices.ContainsFunc(procs, func(p facts.Process) bool { return p.Kind != facts.KindGo && p.Kind != facts.KindFltool })
}

// tasks is what a limit of processes and threads leaves.
type tasks struct {
	free, use int64
	got       string
	source    string
}

// evalPIDs looks for the limit of processes and threads that leaves the least.
func evalPIDs(c Case) Outcome {
	procs, known := c.appProcesses()
	if !known {
		return cantTell("processes", c.Processes)
	}
	g, unknown := c.gunicorn()
	if unknown != nil {
		return *unknown
	}
	var least *tasks
	consider := func(max facts.Limit, use int64, counted, what, source string) {
		if max == facts.Unlimited {
			return
		}
		got := fmt.Sprintf("%s %v", what, max)
		if use > 0 {
			got += fmt.Sprintf(", %d %s", use, counted)
		}
		if r := (tasks{int64(max) - use, use, got, source}); least == nil || r.free < least.free {
			least = &r
		}
	}
	group := func(v facts.Value[facts.Cgroup]) {
		l := v.V.PIDs
		if v.Known() {
			consider(l.Max, l.InUse, "in use", "pids.max", l.Source)
		}
		if l.Hits.Known() && l.Hits.V > 0 && least != nil && least.source == l.Source {
			least.got += "; " + count(int(min(l.Hits.V, maxWorkers)), "fork was", "forks were") + " refused at it"
		}
	}
	// NPROC counts all that a user runs, and the kernel's limits all that runs: as
	// much as is known of it.
	const atLeast = "in use at least"
	all, ofUser := int64(0), make(map[string]int64)
	for _, p := range c.Processes.V {
		if !p.User.Known() {
			return cantTell("user", p.User)
		}
		if !p.Threads.Known() {
			return cantTell("threads", p.Threads)
		}
		all += int64(p.Threads.V)
		ofUser[p.User.V] += int64(p.Threads.V)
	}
	for _, p := range procs {
		if !p.Cgroup.Known() {
			return cantTell("control group", p.Cgroup)
		}
		group(p.Cgroup)
		if !p.Limits.Known() {
			return cantTell("NPROC", p.Limits)
		}
		if p.User.V != "root" { // root is exempt
			consider(p.Limits.V.NProc.Soft, ofUser[p.User.V], atLeast, "NPROC", p.Limits.Source)
		}
	}
	switch u := c.Service.V; {
	case len(procs) > 0:
	case u != nil:
		// Where the unit sets nothing the manager's share of the host counts, and
		// kernel.pid_max below stands for it.
		if u.TasksMax.Known() {
			consider(u.TasksMax.V, 0, "", "TasksMax", u.TasksMax.Source)
		}
	case !c.Shell.Known():
		return cantTell("this shell", c.Shell)
	case c.Shell.V == nil:
		return notApplicable("no server runs")
	case !c.Shell.V.Cgroup.Known():
		return cantTell("control group of this shell", c.Shell.V.Cgroup)
	default:
		group(c.Shell.V.Cgroup)
	}
	for _, s := range []struct {
		name string
		v    facts.Value[int64]
	}{{"kernel.pid_max", c.Sysctls.PIDMax}, {"kernel.threads-max", c.Sysctls.ThreadsMax}} {
		if !s.v.Known() {
			return cantTell(s.name, s.v)
		}
		consider(facts.Limit(s.v.V), all, atLeast, s.name, s.v.Source)
	}
	if least == nil {
		return pass("unlimited", c.Sysctls.PIDMax.Source)
	}
	switch {
	case g == nil:
	case !g.WorkerClass.Known():
		return cantTell("worker class", g.WorkerClass)
	case g.WorkerClass.V == "gthread":
		return c.threads(*least)
	}
	if least.free >= reloadTasks {
		return pass(least.got, least.source)
	}
	return fail(least.got, fmt.Sprintf("%d free, for a restart beside the old", reloadTasks), least.source, c.tasksRemedy(reloadTasks))
}

// threads judges what is left where every held poll is a thread. Threads that
// hold polls now are in use already.
func (c Case) threads(least tasks) Outcome {
	held := c.held(false)
	n := byTasks(least.free, held)
	need := tasksFor(c.Demand.Workers, least.use, held)
	return c.limits(Capacity{Safe: n, Hard: n, InUse: facts.Value[int64]{V: least.use, Source: least.source}, Unit: "tasks"},
		least.got, fmt.Sprintf("%d: a thread a poll", need), least.source, func() reports.Remedy { return c.tasksRemedy(need) })
}

// tasksRemedy gives the application room for that many processes and threads.
func (c Case) tasksRemedy(need int64) reports.Remedy {
	if s := c.app(); s.unit != "" && c.Systemd.V {
		set := ""
		if u := c.Service.V; u != nil && u.Name == s.unit {
			set = u.TasksMax.Source
		}
		return c.unitRemedy(s.unit, set, fmt.Sprintf("TasksMax=%d", max(4096, powerOfTwo(2*need))), "give the service more tasks")
	}
	return reports.Remedy{Text: "raise the limit of processes and threads: --pids-limit of the container, or TasksMax= of the unit"}
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func powerOfTwo(n int64) int64 {
	p := int64(1)
	for p < n {
		p *= 2
	}
	return p
}
