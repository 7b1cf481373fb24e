package checks

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// pendingLimit says whether a process runs with another NOFILE than its unit
// would give it, and by nothing but its start before the unit was edited. Where
// something else explains the difference, other says what.
func pendingLimit(u *facts.Unit, p facts.Process) (pending bool, other string) {
	got, want := p.Limits.V.NoFile, u.NoFile.V
	switch o := p.Origin.V; {
	case got == want:
		return false, ""
	case u.Container != "" || o.By == facts.ByContainer || o.By == facts.ByPod || o.By == facts.ByLXC || o.By == facts.ByNspawn:
		return false, "a container's limit is its runtime's"
	case o.By != facts.ByUnit && o.By != facts.ByUserUnit && o.By != facts.ByNobody:
		return false, "it is started by " + started(o)
	case u.Setter != "":
		return false, u.Setter + " sets it"
	case got.Soft == got.Hard && got.Hard == want.Hard:
		return false, "it raised its soft limit itself"
	case !u.NoFileSet && u.PAM == "":
		return false, "the unit sets none"
	case u.User != "" && want.Hard != facts.Unlimited && got.Hard.Below(int64(want.Hard)):
		return false, "its user's manager may have less to give"
	}
	return true, ""
}

// pending compares what a unit says with what its processes have, and with how they
// were started; all are the host's.
func pending(u *facts.Unit, procs, all []facts.Process) Judgement {
	o := pendingNoFile(u, procs)
	if u == nil || o.Status == reports.StatusFail || o.Status == reports.StatusUnknown {
		return o
	}
	if next := nextStart(u, all); len(next) > 0 {
		return worst(next)
	}
	return o
}

func pendingNoFile(u *facts.Unit, procs []facts.Process) Judgement {
	if u == nil {
		return notApplicable("no systemd service runs it")
	}
	if !u.NoFile.Known() {
		return cantTell(u.Name, u.NoFile)
	}
	if u.Refused != "" {
		return fail(u.Refused, "a limit that it can be started with", u.NoFile.Source,
			reports.Remedy{Text: fmt.Sprintf("lower LimitNOFILE= at %s, or raise fs.nr_open, before the next restart: it would not start again", u.NoFile.Source)})
	}
	for _, p := range procs {
		if !p.Unit.Known() {
			return cantTell("unit", p.Unit)
		}
		if p.Unit.V != u.Name {
			continue
		}
		if !p.Limits.Known() {
			return cantTell("limits", p.Limits)
		}
		if !p.Origin.Known() {
			return cantTell("who started it", p.Origin)
		}
		is, other := pendingLimit(u, p)
		if other != "" {
			return notApplicable("%s has NOFILE %v, and %s", u.Name, p.Limits.V.NoFile, other)
		}
		if is {
			got, want := p.Limits.V.NoFile, u.NoFile.V
			r := reports.Remedy{Text: "restart the service; polls that it holds are cut", Commands: restartCommands(u), Then: "restart"}
			if belowBound(want, got) {
				r = reports.Remedy{Text: fmt.Sprintf("the next restart lowers it: set LimitNOFILE=%v for %s before", got.Soft, u.Name)}
			}
			return fail(fmt.Sprintf("NOFILE %v in %s %d", got, p.Kind, p.PID), fmt.Sprintf("%v (%s)", askedOf(u), u.NoFile.Source), p.Limits.Source, r)
		}
	}
	return pass(fmt.Sprintf("NOFILE %v", askedOf(u)), u.NoFile.Source)
}

// nextStart tells of what the next start changes for the worse: another server, or one
// set otherwise, and a cgroup with less room. What runs now shows none of it.
func nextStart(u *facts.Unit, procs []facts.Process) (all []Judgement) {
	for _, p := range procs {
		own := p.Unit.Known() && p.Unit.V == u.Name && p.Origin.Known() &&
			(p.Origin.V.By == facts.ByUnit || p.Origin.V.By == facts.ByUserUnit || p.Origin.V.By == facts.ByNobody)
		if !own || u.Container != "" {
			continue
		}
		before := func(what string) reports.Remedy {
			return reports.Remedy{Text: fmt.Sprintf("the next restart changes it: set %s for %s before, or restart it now and look again", what, u.Name)}
		}
		if p.PID == u.MainPID && u.Kind != "" && u.Kind != p.Kind {
			all = append(all, fail(fmt.Sprintf("%s %d runs", p.Kind, p.PID), u.Kind+", which ExecStart would start", u.Files[len(u.Files)-1], before("ExecStart=")))
		}
		for _, name := range slices.Sorted(maps.Keys(u.Settings)) {
			now, next := p.Settings[name], u.Settings[name]
			if p.PID != u.MainPID || u.Kind != p.Kind || name == "args" || !now.Known() || !next.Known() || now.V == next.V {
				continue
			}
			all = append(all, fail(fmt.Sprintf("%s %s in %s %d", name, now.V, p.Kind, p.PID), next.V+", by which it would be started", next.Source, before(name+" "+now.V)))
		}
		if !p.Cgroup.Known() {
			continue
		}
		for _, of := range []struct {
			key string
			now facts.Limit
			v   facts.Value[facts.Limit]
		}{{"MemoryMax", p.Cgroup.V.Memory.Max, u.MemoryMax}, {"TasksMax", p.Cgroup.V.PIDs.Max, u.TasksMax}} {
			// What the unit leaves to the manager, the process that runs was given too.
			if !of.v.Known() && of.v.Err != facts.TasksMaxUnset && of.now == facts.Unlimited {
				all = append(all, cantTell(of.key+" of "+u.Name, of.v))
			}
			if of.v.Known() && of.v.V != facts.Unlimited && (of.now == facts.Unlimited || of.v.V.Below(int64(of.now))) {
				all = append(all, fail(fmt.Sprintf("%s %v of %s", of.key, of.now, u.Name), fmt.Sprintf("%v, which a daemon-reload or a restart gives it", of.v.V), of.v.Source, before(fmt.Sprintf("%s=%v", of.key, of.now))))
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// belowBound says whether a is the smaller limit by its soft half, or where these are
// equal by its hard one.
func belowBound(a, b facts.Bound) bool {
	below := func(x, y facts.Limit) bool {
		return y == facts.Unlimited && x != facts.Unlimited || y != facts.Unlimited && x.Below(int64(y))
	}
	if a.Soft != b.Soft {
		return below(a.Soft, b.Soft)
	}
	return below(a.Hard, b.Hard)
}

// askedOf is what a unit gives, and what it asks for where that is another.
func askedOf(u *facts.Unit) string {
	if u.Asked != "" {
		return fmt.Sprintf("%v, which is what %s gives", u.NoFile.V, u.Asked)
	}
	return u.NoFile.V.String()
}

// winsOver says whether fltool's drop-in would be read after the file that sets a
// value now: files are sorted by their names, whatever folder they are in.
func winsOver(source string) bool { return path.Base(fileOf(source)) <= facts.OwnName }

// fileOf is the file of "file:line".
func fileOf(source string) string {
	for i := len(source) - 1; i > 0; i-- {
		if source[i] == ':' {
			return source[:i]
		}
		if source[i] < '0' || source[i] > '9' {
			break
		}
	}
	return source
}
