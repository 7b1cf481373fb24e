package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// started names who started a process.
func started(o facts.Origin) string {
	return map[string]string{
		facts.ByUnit: "systemd", facts.ByUserUnit: "its user's systemd", facts.ByLogin: "a login", facts.ByContainer: "a container's runtime",
		facts.ByPod: "Kubernetes", facts.ByLXC: "LXC", facts.ByOpenRC: "OpenRC", facts.ByRunit: "runit", facts.ByS6: "s6",
		facts.BySupervisor: "supervisord", facts.ByPM2: "pm2", facts.ByCron: "cron", facts.ByNspawn: "systemd-nspawn",
	}[o.By]
}

// nofileRemedy says how the subject gets a NOFILE of at least need: where who
// started it sets limits. What fltool's own file would not change is for hands.
func (c Case) nofileRemedy(s subject, need int64) reports.Remedy {
	r := c.nofileRemedyHere(s, need)
	// Above fs.nr_open the kernel takes no limit, and a service might not start.
	if top := c.Sysctls.NROpen; top.Known() && need > top.V && len(r.Files) > 0 && len(c.sysctlRemedy("", "fs.nr_open = 0").Files) == 0 {
		var lines []string
		for _, f := range r.Files {
			lines = append(lines, f.Path+": "+strings.Join(f.Lines, ", "))
		}
		return reports.Remedy{Text: fmt.Sprintf("raise fs.nr_open first, see host/nr-open; then %s (%s)", r.Text, strings.Join(lines, "; ")), Then: r.Then}
	}
	return r
}

func (c Case) nofileRemedyHere(s subject, need int64) reports.Remedy {
	hard := c.attainable(s.unit, s.nofile.V.Hard)
	target := c.target(need, hard)
	if r, ok := outside(s.origin, s.serviceUnit, target); ok {
		return r
	}
	if hard.Below(need) {
		return reports.Remedy{
			Text: fmt.Sprintf("no process here may raise its hard limit of %v. Raise it where this container or machine is started (docker run --ulimit nofile=%d, ulimits: of compose, or the runtime's LimitNOFILE), or spread the workers over several hosts", hard, roomy(need)),
		}
	}
	switch {
	case s.unit != "" && c.Systemd.V:
		return c.unitNoFileRemedy(s, target)
	case s.user != "":
		return c.loginRemedy(s.user, target)
	case !s.nofile.V.Hard.Below(target), c.MayRaise.Known() && !c.MayRaise.V:
		return reports.Remedy{
			Text:     "raise the limit in the shell or script that starts the application",
			Commands: []string{fmt.Sprintf("ulimit -n %d", target)},
			Then:     "restart",
		}
	case c.Systemd.Known() && !c.Systemd.V:
		return reports.Remedy{
			Text: fmt.Sprintf("raise the hard limit of %v where the application is started: ulimit -n %d in the script that does, run as root, before it changes the user", s.nofile.V.Hard, target),
			Then: "restart",
		}
	}
	return reports.Remedy{
		Text: fmt.Sprintf("run the application as a systemd service with LimitNOFILE=%d, or raise the hard limit of %v where it is started", target, s.nofile.V.Hard),
		Then: "restart",
	}
}

// outside is the remedy for what neither a unit's drop-in nor limits.conf reaches.
func outside(o facts.Origin, u *facts.Unit, target int64) (reports.Remedy, bool) {
	by := func(format string, a ...any) (reports.Remedy, bool) {
		return reports.Remedy{Text: fmt.Sprintf(format, a...), Then: "restart"}, true
	}
	if u != nil && (u.Container != "" || strings.HasSuffix(u.Template, ".container")) {
		if strings.HasSuffix(u.Template, ".container") {
			return by("write below [Container] of %s: Ulimit=nofile=%d:%d; the unit's own limit is podman's and does not reach the container", u.Template, target, target)
		}
		return by("start the container with --ulimit nofile=%d:%d, at %s in %s; the unit's own limit is %s's and does not reach it", target, target, "ExecStart=", u.Files[0], u.Container)
	}
	switch o.By {
	case facts.ByContainer:
		return by("start the container with --ulimit nofile=%d:%d (ulimits: nofile: of a compose file, Ulimit=nofile=%d:%d of a quadlet)", target, target, target, target)
	case facts.ByPod:
		return by("a pod can't ask for it: raise LimitNOFILE= of the node's containerd.service or crio.service (or the runtime's default rlimits) to %d and restart the runtime, or let the image's entry point run ulimit -n up to its hard limit", target)
	case facts.ByCron:
		return by("cron starts it: a line for its user in /etc/security/limits.d counts from the next run on where pam.d/cron has pam_limits; else run ulimit -n %d in what cron starts, up to the hard limit. A service of the init system is the better place", target)
	case facts.ByNspawn:
		return by("set LimitNOFILE=%d below [Exec] of /etc/systemd/nspawn/%s.nspawn, and start the container anew", target, o.Name)
	case facts.ByLXC:
		return by("set lxc.prlimit.nofile = %d in the container's config (LXD and Incus: limits.kernel.nofile), and start it anew", target)
	case facts.ByOpenRC:
		return by(`write rc_ulimit="-n %d" in %s, and restart the service by rc-service %s restart`, target, at(o, "/etc/conf.d/"+o.Name), o.Name)
	case facts.ByRunit:
		return by("run ulimit -n %d (or chpst -o %d) in %s before the application, and restart it by sv restart %s", target, target, at(o, "the service's run script"), o.Name)
	case facts.ByS6:
		return by("run s6-softlimit -o %d in %s before the application, and restart it by s6-svc -r", target, at(o, "the service's run script"))
	case facts.BySupervisor:
		return by("set minfds = %d below [supervisord] of %s, and restart supervisord itself: a reload does not raise it", target, at(o, "supervisord.conf"))
	case facts.ByPM2:
		return by("pm2 hands on its own limit: raise that of the service or login that starts pm2 to %d (LimitNOFILE= of its unit), then pm2 kill and start anew", target)
	}
	return reports.Remedy{}, false
}

// at is the file that sets an origin's limit, else another text.
func at(o facts.Origin, or string) string {
	if o.Source != "" {
		return o.Source
	}
	return or
}

// unitNoFileRemedy raises the limit of a service of systemd.
func (c Case) unitNoFileRemedy(s subject, target int64) reports.Remedy {
	u, line := s.serviceUnit, fmt.Sprintf("LimitNOFILE=%d", target)
	byHand := func(format string, a ...any) reports.Remedy {
		return reports.Remedy{Text: fmt.Sprintf(format, a...), Then: "restart"}
	}
	set := ""
	if u != nil && u.NoFileSet {
		set = u.NoFile.Source
	}
	switch {
	case s.origin.By == facts.ByUserUnit:
		return byHand("give it more by systemctl --user edit %s, as its user: [Service] %s; what the user's manager has bounds it, and that is set by the same line in a drop-in of user@.service", s.unit, line)
	case u != nil && u.Setter != "":
		return byHand("%s sets the limit after systemd does: raise it there to %d", u.Setter, target)
	case u != nil && u.PAM != "" && u.NoFile.Known():
		return byHand("PAMName=%s of %s lets pam_limits decide, after LimitNOFILE=: raise it at %s, or take PAMName= away", u.PAM, s.unit, u.NoFile.Source)
	}
	return c.unitRemedy(s.unit, set, line, fmt.Sprintf("give %s more descriptors by a drop-in", s.unit))
}

func (c Case) nix() bool { return c.OS.Known() && c.OS.V.Is("nixos") }

// loginRemedy raises the limit of a user's logins.
func (c Case) loginRemedy(user string, target int64) reports.Remedy {
	byHand := func(format string, a ...any) reports.Remedy {
		return reports.Remedy{Text: fmt.Sprintf(format, a...), Then: "login"}
	}
	soft, hard := fmt.Sprintf("%s soft nofile %d", user, target), fmt.Sprintf("%s hard nofile %d", user, target)
	if c.nix() {
		return byHand(`add { domain = "%s"; type = "-"; item = "nofile"; value = "%d"; } to security.pam.loginLimits of the system's configuration, and run nixos-rebuild switch`, user, target)
	}
	if s := c.Session; s.Known() {
		switch {
		case s.V.Service == "sshd" && !s.V.Limited && strings.Contains(s.V.Why, "UsePAM"):
			return byHand("set UsePAM yes in sshd_config and restart sshd (%s), and then a line for %s in /etc/security/limits.d: %s; without PAM limits.conf is not read for logins by ssh", s.V.Why, user, soft)
		case !s.V.Limited:
			return byHand("logins here are not limited by PAM (%s), so that limits.conf changes nothing: run the application as a service of the init system with a limit of %d, or raise it in the script that starts it", s.V.Why, target)
		case s.V.Conf != "":
			return byHand("pam_limits reads %s alone (%s): write there %s and %s", s.V.Conf, s.V.Why, soft, hard)
		}
	}
	if l := c.Login; l.Known() && l.V != nil && l.V.User == user {
		if l.V.Lifted {
			return byHand("%s lifts %s out of all limits, and no other line counts: take it away, and write %s and %s", l.V.Lines[0], user, soft, hard)
		}
		if i := slices.IndexFunc(l.V.Lines, func(line string) bool { return !winsOver(line) && strings.Contains(line, ".d/") }); i >= 0 && c.namesUser(l.V.Lines[i], user) {
			return byHand("%s is read after any file of fltool's and wins: write %s and %s there", l.V.Lines[i], soft, hard)
		}
	} else if i := slices.IndexFunc(c.Logins.V, func(l facts.LimitLine) bool { return l.Domain == user && l.Item == "" }); i >= 0 {
		return byHand("%s lifts %s out of all limits, and no other line counts: take it away, and write %s and %s", c.Logins.V[i].Source, user, soft, hard)
	}
	return reports.Remedy{
		Text:  fmt.Sprintf("raise the limit of %s's logins; a line that names the user beats those of * and @groups", user),
		Files: []reports.File{{Path: "/etc/security/limits.d/" + facts.OwnName, Lines: []string{soft, hard}}},
		Then:  "login",
	}
}

// namesUser says whether the line of limits.conf at a place is for one user: such
// of * and of groups lose against one that is, wherever it stands.
func (c Case) namesUser(source, user string) bool {
	return slices.ContainsFunc(c.Logins.V, func(l facts.LimitLine) bool {
		return l.Source == source && (l.Domain == user || l.Domain != "*" && !strings.HasPrefix(l.Domain, "@"))
	})
}

// attainable is the highest NOFILE that a restart could give a process with
// that hard limit: no ceiling where something here may raise hard limits (and
// where that is unknown), else PID 1's for what systemd starts, and this shell's
// for what a shell does, unless its own is higher.
func (c Case) attainable(unit string, hard facts.Limit) facts.Limit {
	if !c.MayRaise.Known() || c.MayRaise.V || hard == facts.Unlimited {
		return facts.Unlimited
	}
	top := hard
	switch {
	case unit != "" && c.Systemd.V && c.Ceiling.Known():
		top = c.Ceiling.V.NoFile.Hard
	case unit == "" && c.Shell.Known() && c.Shell.V != nil:
		top = c.Shell.V.Limits.NoFile.Hard
	}
	if top == facts.Unlimited || hard < top {
		return top
	}
	return hard
}

// target is what to set for a need: with room, within what can be had.
func (c Case) target(need int64, attainable facts.Limit) int64 {
	n := roomy(need)
	if attainable.Below(n) {
		n = int64(attainable)
	}
	if top := c.Sysctls.NROpen; top.Known() && n > top.V && need <= top.V {
		n = top.V
	}
	return n
}

// unitRemedy is a drop-in for a service, where one can be written and would win
// over what sets the value now, a place that is "" where nothing does.
func (c Case) unitRemedy(unit, set, line, text string) reports.Remedy {
	key, value, _ := strings.Cut(line, "=")
	byHand := func(format string, a ...any) reports.Remedy {
		return reports.Remedy{Text: text + ": " + fmt.Sprintf(format, a...), Then: "restart"}
	}
	u := c.unitOf(unit)
	switch {
	case c.nix():
		return byHand("set systemd.services.%s.serviceConfig.%s = %q; in the system's configuration, and run nixos-rebuild switch: files of the store are read-only", strings.TrimSuffix(unit, ".service"), key, strings.Trim(value, `"`))
	case c.ofUser(unit):
		return byHand("systemctl --user edit %s, as its user: [Service] %s", unit, line)
	case u != nil && u.Template != "":
		return byHand("%s is made of %s: set it there, below [Container]", unit, u.Template)
	case strings.Contains(fileOf(set), ".d/") && !winsOver(set):
		return byHand("%s is read after any file of fltool's and wins: write %s there", set, line)
	case u != nil && strings.HasPrefix(u.Files[0], "/run/systemd/transient/"):
		return byHand("the unit is one of systemd-run: start it with -p %s", line)
	}
	return reports.Remedy{
		Text:     text,
		Commands: []string{"systemctl daemon-reload", restart(unit)},
		Files:    []reports.File{{Path: "/etc/systemd/system/" + unit + ".d/" + facts.OwnName, Section: "Service", Lines: []string{line}}},
		Then:     "restart",
	}
}

// unitOf is the unit of that name as it would be started; nil: it was not read.
func (c Case) unitOf(name string) *facts.Unit {
	for _, u := range []*facts.Unit{c.Service.V, c.NginxUnit.V} {
		if u != nil && u.Name == name && len(u.Files) > 0 {
			return u
		}
	}
	return nil
}

// ofUser says whether a service is one of a user's manager.
func (c Case) ofUser(unit string) bool {
	if u := c.unitOf(unit); u != nil && u.User != "" {
		return true
	}
	return slices.ContainsFunc(c.Processes.V, func(p facts.Process) bool {
		return p.Unit.V == unit && p.Origin.V.By == facts.ByUserUnit
	})
}

// both are two remedies of one finding. Where one has files and the other is for
// hands, what is left to do by hand is kept apart.
func both(a, b reports.Remedy) reports.Remedy {
	if b.Text == "" {
		return a
	}
	out := reports.Remedy{Text: a.Text + ", and " + b.Text, Commands: slices.Concat(a.Commands, b.Commands), Files: slices.Concat(a.Files, b.Files), Then: a.Then}
	for _, r := range []reports.Remedy{a, b} {
		if len(r.Files) == 0 && len(out.Files) > 0 {
			out.Hand = r.Text
		}
	}
	return out
}

// restartCommands restart a unit by its manager.
func restartCommands(u *facts.Unit) []string {
	if u.User != "" {
		return []string{"systemctl --user daemon-reload", strings.Replace(restart(u.Name), "systemctl ", "systemctl --user ", 1)}
	}
	return []string{"systemctl daemon-reload", restart(u.Name)}
}

// restart is the command; a unit's name may hold backslashes.
func restart(unit string) string {
	if strings.Contains(unit, `\`) {
		unit = "'" + unit + "'"
	}
	return "systemctl restart " + unit
}
