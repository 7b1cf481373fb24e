package checks

import (
	"fmt"
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
		Reads: []string{"/proc/PID/limits", "/proc/PID/cmdline", "limits of its cgroup", "the unit file and its drop-ins, merged as systemd does"},
		Why: `systemd applies LimitNOFILE= and ExecStart= when it starts a service, so that what runs may have been started by
another unit than the one that is there now: the next restart is another deployment. The same goes for a MemoryMax= or a
TasksMax= below what the cgroup has. An edited unit changes nothing for a process
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

func evalFound(c Case) Judgement {
	procs, known := c.appProcesses()
	if !known {
		return cantTell("processes", c.Processes)
	}
	if len(procs) == 0 {
		s := c.app()
		if c.Asked.Elsewhere() != "" && c.Service.V == nil && c.Asked.User == "" {
			return unknownFor("%s", s.err)
		}
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

func evalNoFile(c Case) Judgement {
	s := c.app()
	if s.err != "" {
		return unknownFor("%s", s.err)
	}
	if !s.nofile.Known() {
		return cantTell("NOFILE of "+s.who, s.nofile)
	}
	per, o := c.perWorker()
	if o != nil {
		return *o
	}
	base, why := c.baseFDs(s)
	if why != "" {
		return unknownFor("what %s has open: %s", s.who, why)
	}
	need := descriptorsFor(c.Demand.Workers, per, base)
	if s.refused != "" {
		return c.limits(Capacity{}, s.refused, fmt.Sprintf("%d, or what fs.nr_open allows", need), s.nofile.Source, func() reports.Remedy { return c.nofileRemedy(s, need) })
	}
	each := "one a poll"
	if per > 1 {
		each = fmt.Sprintf("%d a worker while updates of %s are sent", per, facts.Bytes(c.anUpdate()))
	}
	judged := c.limits(Capacity{Safe: byDescriptors(s.limit(), per, base), Hard: byDescriptors(s.limit(), 1, base), InUse: s.inUse, Unit: "fds"},
		fmt.Sprintf("%v for %s%s%s", s.limit(), s.who, s.cut(), c.skipped(s.unit)), fmt.Sprintf("%d: %s and %d", need, each, base), s.nofile.Source,
		func() reports.Remedy { return c.nofileRemedy(s, need) })
	// The unit gives enough already: what is missing is the restart.
	if u := s.serviceUnit; judged.Status == reports.StatusFail && u != nil && u.NoFile.Known() && s.process != nil && !unitLimit(u, s.goes).Below(need) && !c.attainable(s.unit, s.nofile.V.Hard).Below(need) && s.inUse.Known() {
		if is, _ := pendingLimit(u, *s.process); is {
			judged.Remedy = reports.Remedy{Text: fmt.Sprintf("%s gives %s; restart it", u.NoFile.Source, askedOf(u)), Commands: restartCommands(u)[1:], Then: "restart"}
		}
	}
	return judged
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

func evalUnitPending(c Case) Judgement {
	procs, known := c.appProcesses()
	switch {
	case !known:
		return cantTell("processes", c.Processes)
	case len(procs) == 0:
		return notApplicable("no server runs")
	case !c.Service.Known():
		return cantTell("unit", c.Service)
	}
	return pending(c.Service.V, procs, c.Processes.V)
}

// tasks is what a limit of processes and threads leaves.
type tasks struct {
	free, use int64
	got       string
	source    string
}

// evalPIDs looks for the limit of processes and threads that leaves the least.
func evalPIDs(c Case) Judgement {
	procs, known := c.appProcesses()
	if !known {
		return cantTell("processes", c.Processes)
	}
	h, none := c.server()
	if none != nil && none.Status == reports.StatusUnknown {
		return *none
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
	if none == nil {
		switch a := h.Tasks(); {
		case !a.Is():
			return unanswered(a)
		case a.V > 0:
			return c.threads(*least)
		}
	}
	if least.free >= reloadTasks {
		return pass(least.got, least.source)
	}
	return fail(least.got, fmt.Sprintf("%d free, for a restart beside the old", reloadTasks), least.source, c.tasksRemedy(reloadTasks))
}

// threads judges what is left where every held poll is a thread. Threads that
// hold polls now are in use already.
func (c Case) threads(least tasks) Judgement {
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
