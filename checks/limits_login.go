package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// evalLimitsConf asks whether what limits.conf promises reaches the application,
// and where it does not, why.
func evalLimitsConf(c Case) Judgement {
	if !c.Logins.Known() {
		return cantTell("limits.conf", c.Logins)
	}
	best := bestLine(c.Logins.V)
	if best.Source == "" {
		return notApplicable("limits.conf sets no nofile")
	}
	s := c.app()
	if s.err != "" {
		return unknownFor("%s", s.err)
	}
	if !s.nofile.Known() {
		return cantTell("NOFILE of "+s.who, s.nofile)
	}
	if best.Value != facts.Unlimited && !s.limit().Below(int64(best.Value)) || s.limit() == facts.Unlimited {
		return pass(fmt.Sprintf("%v for %s", s.limit(), s.who), s.nofile.Source)
	}
	// Why it has less depends on who it is.
	for _, p := range c.Processes.V {
		if p.Serves() && s.unit == "" && (!p.Unit.Known() || !p.User.Known() || !p.Origin.Known()) {
			return unknownFor("whose session %s is of is not known", s.who)
		}
	}
	for _, known := range []string{c.Systemd.Why(), c.Session.Why()} {
		if known != "" && (s.user != "" || s.unit == "") {
			return unknownFor("how logins are limited: %s", known)
		}
	}
	got := fmt.Sprintf("%s nofile %v, and %s has %v", best.Domain, best.Value, s.who, s.limit())
	because := func(want, format string, a ...any) Judgement {
		return fail(got, want, best.Source, reports.Remedy{Text: fmt.Sprintf(format, a...)})
	}
	switch by := s.origin.By; {
	case c.Container.V && !(c.Session.V.Limited && by == facts.ByLogin):
		return because("a limit where the container is started", "limits.conf is for logins, and nothing logs in to start what runs in a container. The remedy of app/nofile names the place")
	case by == facts.ByLogin || by == facts.ByCron || by == facts.ByNobody && s.unit == "":
	case by == facts.ByUnit || by == facts.ByUserUnit || s.unit != "":
		return because("a limit where systemd reads it", "limits.conf is for logins; services of systemd take LimitNOFILE= of their unit. The remedy of app/nofile sets it")
	default:
		return because("a limit where "+started(s.origin)+" reads it", "limits.conf is for logins, and %s starts the application. The remedy of app/nofile names the place", started(s.origin))
	}
	switch {
	case s.user != "" && c.Session.V.Service == "sshd" && !c.Session.V.Limited:
		return because("PAM for logins by ssh", "limits.conf is not read for logins by ssh (%s): set UsePAM yes in sshd_config, restart sshd and log in anew", c.Session.V.Why)
	case s.user != "" && !c.Session.V.Limited:
		return because("pam_limits for logins", "limits.conf is not read for logins here (%s): add session required pam_limits.so to the stack and log in anew, or raise the limit where the application is started", c.Session.V.Why)
	case s.user == "root" && (!c.OS.Known() || c.OS.V.Is("debian", "ubuntu")):
		return because("a line that names root", "lines of * and @group do not apply to root on Debian and Ubuntu; write one that names root, or run the service as another user")
	case s.user != "" && c.Login.V != nil && c.Login.V.Refused != "":
		return because("a limit that can be set", "%s, so that pam_limits refuses the login: lower it", c.Login.V.Refused)
	case s.user != "" && c.Login.V != nil && c.Login.V.Kept != "":
		return because("a limit that can be set", "%s, so that nothing is set: lower it", c.Login.V.Kept)
	case s.user != "" && c.Login.V != nil && c.Login.V.Lifted:
		return because("no line that lifts the user out", "%s lifts %s out of all limits", strings.Join(c.Login.V.Lines, ", "), s.user)
	case s.user != "" && c.Login.V != nil:
		return because("the line to win", "%s", whyLess(best, *c.Login.V))
	case s.user != "":
		o := because("the line to win, or a new login", "another line wins for this user, or the process was started from a session older than the edit: log in again")
		o.Remedy.Then = "login"
		return o
	}
	return pass(fmt.Sprintf("%v for %s", s.limit(), s.who), s.nofile.Source)
}

// whyLess says why a login gets less than a line promises.
func whyLess(best facts.LimitLine, l facts.Login) string {
	counts := slices.Contains(l.Lines, best.Source)
	switch {
	case counts && best.Type == "hard":
		return "the line sets the hard half alone, and a server lives under the soft one: write a soft line as well"
	case counts && best.Type == "soft":
		return "the hard limit cuts it: write a hard line as well"
	case len(l.Lines) > 0:
		return fmt.Sprintf("%s decides for %s: a line of the user beats one of a group, and that one of *; of equals the last counts", strings.Join(l.Lines, " and "), l.User)
	}
	return fmt.Sprintf("the line does not mean %s", l.User)
}

// bestLine is the one that promises the most descriptors.
func bestLine(lines []facts.LimitLine) facts.LimitLine {
	var best facts.LimitLine
	for _, l := range lines {
		if l.Item == "nofile" && (best.Source == "" || best.Value.Below(int64(l.Value)) || l.Value == facts.Unlimited) {
			best = l
		}
	}
	return best
}
