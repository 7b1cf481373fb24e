package checks

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// A subject is whose limits the application is judged by.
type subject struct {
	who    string // "gunicorn 4711", "fl.service (not running)", "login of alice", "this shell"
	nofile facts.Value[facts.Bound]
	inUse  facts.Value[int64] // descriptors
	base   int64              // descriptors that it holds itself; 0: appBaseFDs
	goes   bool               // a Go program that raises its soft limit to the hard one itself
	unit   string             // systemd's, "" where it is none
	user   string             // whose login it comes from; "" where of none
	err    string             // there is no subject, and why
	origin facts.Origin       // who started it

	process     *facts.Process // that runs
	serviceUnit *facts.Unit    // its service's unit, as it would be started now
	refused     string         // why it would not start, or not get in
}

// ownFiles is how many descriptors a kind of server holds itself.
func ownFiles(k *kinds.Kind) int64 { return kinds.Hop{Kind: k}.Descriptors().V.Own }

// raisesItself says whether a kind of server raises its soft limit to the hard one.
func raisesItself(kind string) bool { return kind == kinds.Go.Kind || kind == facts.KindFltool }

// baseFDs is how many descriptors the subject has beside its connections: what it
// has open now, where it runs, and what its kind always has.
func (c Case) baseFDs(s subject) (n int64, why string) {
	n = s.base
	if n == 0 {
		n = appBaseFDs
	}
	if s.process == nil {
		return n, ""
	}
	if !s.inUse.Known() {
		return 0, s.inUse.Why()
	}
	return max(n, s.inUse.V-c.held(false)), ""
}

// perWorker is how many descriptors a worker takes: one while its poll is held, more
// while it sends an update that the application keeps in a file meanwhile.
func (c Case) perWorker() (n int64, o *Judgement) {
	if c.Demand.ModelAssumed || c.anUpdate() == 0 {
		return 1, nil // what more its kind may take is app/worker-class's to tell
	}
	h, none := c.server()
	switch {
	case none != nil && none.Status == reports.StatusUnknown:
		return 0, none
	case none != nil:
		return 1, nil
	}
	a := h.Descriptors()
	if !a.Is() {
		o := unanswered(a)
		return 0, &o
	}
	if a.V.Upload > a.V.Poll && c.anUpdate() > a.V.Spool {
		return a.V.Upload, nil
	}
	return a.V.Poll, nil
}

// limit is what binds the subject.
func (s subject) limit() facts.Limit {
	if s.goes {
		return s.nofile.V.Hard
	}
	return s.nofile.V.Soft
}

// cut says what the unit asks for where systemd gives another limit.
func (s subject) cut() string {
	if u := s.serviceUnit; u != nil && u.Asked != "" && u.NoFile.V == s.nofile.V {
		return fmt.Sprintf("; LimitNOFILE=%s is cut to that: write a number that fs.nr_open allows", u.Asked)
	}
	return ""
}

// appProcesses are those that hold polls. Known is false where nobody can say.
func (c Case) appProcesses() (procs []facts.Process, known bool) {
	for _, p := range c.Processes.V {
		if p.Serves() && p.HoldsPolls() {
			procs = append(procs, p)
		}
	}
	return procs, c.Processes.Known()
}

// app finds the subject: who was asked for, else what runs, else the shell that
// would start it. The tightest of several processes counts.
func (c Case) app() subject {
	if c.Asked.User != "" {
		if !c.Login.Known() || c.Login.V == nil {
			return subject{err: "login of " + c.Asked.User + ": " + c.Login.Why()}
		}
		s := subject{
			who:    "login of " + c.Asked.User,
			nofile: facts.Value[facts.Bound]{V: c.Login.V.Limits.NoFile, Source: c.Login.Source},
			user:   c.Asked.User,
		}
		if why := c.Login.V.Refused; why != "" {
			s.refused = "pam_limits refuses the login: " + why
		}
		return s
	}
	procs, known := c.appProcesses()
	if !known {
		return subject{err: c.Processes.Why()}
	}
	if len(procs) > 0 {
		return c.tightest(procs)
	}
	if !c.Service.Known() {
		return subject{err: c.Service.Why()}
	}
	if u := c.Service.V; u != nil {
		s := subject{who: u.Name + " (not running)", nofile: u.NoFile, unit: u.Name, serviceUnit: u, refused: u.Refused}
		s.origin = facts.Origin{By: facts.ByUnit, Name: u.Name}
		if u.Init == facts.ByOpenRC {
			name := strings.TrimSuffix(u.Name, ".service")
			s.who, s.unit, s.origin = name+" of OpenRC (not running)", "", facts.Origin{By: facts.ByOpenRC, Name: name}
			if u.NoFileSet {
				s.origin.Source = u.NoFile.Source
			}
		}
		if u.User != "" {
			s.origin = facts.Origin{By: facts.ByUserUnit, Name: u.Name, User: u.User}
		}
		s.base = ownFiles(kinds.ByName(u.Kind))
		if s.goes = raisesItself(u.Kind); s.goes {
			if u.AtLeast {
				s.nofile = facts.Value[facts.Bound]{Err: "the hard limit that systemd gives by default differs by its version, and that is not known"}
			}
		}
		if u.Container != "" {
			s.nofile = facts.Value[facts.Bound]{Err: u.Name + " starts a container, whose limit is its runtime's: start it"}
		}
		return s
	}
	if c.Asked.Elsewhere() != "" {
		return subject{err: c.elsewhere()}
	}
	if c.Shell.Known() && c.Shell.V != nil {
		return subject{
			who:    "this shell (nothing serves yet)",
			nofile: facts.Value[facts.Bound]{V: c.Shell.V.Limits.NoFile, Source: c.Shell.Source},
		}
	}
	if !c.Shell.Known() {
		return subject{err: "nothing serves there, and this shell: " + c.Shell.Why()}
	}
	return subject{err: "nothing serves there: name the application by --service or --user"}
}

// elsewhere says what to do where the application is on another host.
func (c Case) elsewhere() string {
	return "the application is at " + c.Asked.Elsewhere() + ", on another host: gather its facts there (--save-facts FILE), and judge both by --facts proxy=FILE --facts app=FILE"
}

// tightest is the process with the lowest limit; one whose limit is unknown is
// tighter than any.
func (c Case) tightest(procs []facts.Process) subject {
	var out subject
	for i, p := range procs {
		s := subject{who: fmt.Sprintf("%s %d", p.Kind, p.PID), process: &procs[i]}
		s.base = ownFiles(kinds.ByName(p.Kind))
		if p.Kind == facts.KindOther {
			s.who = fmt.Sprintf("%s %d", p.Name, p.PID)
		}
		s.nofile = facts.Value[facts.Bound]{V: p.Limits.V.NoFile, Source: p.Limits.Source, Err: p.Limits.Err}
		// Not every Go program does it: those built before 1.19 live under the soft one.
		s.goes = raisesItself(p.Kind) && s.nofile.V.Soft == s.nofile.V.Hard
		s.inUse = facts.Value[int64]{V: int64(p.FDs.V), Source: p.FDs.Source, Err: p.FDs.Err}
		s.unit, s.origin = p.Unit.V, p.Origin.V
		if u := c.Service.V; u != nil && u.Name == s.unit {
			s.serviceUnit = u
		}
		by := s.origin.By
		if by == facts.ByLogin || by == facts.ByCron { // the unit is of sshd or cron
			s.unit, s.serviceUnit = "", nil
		}
		if p.User.Known() && (by == facts.ByLogin || by == facts.ByNobody && s.unit == "" && c.Systemd.V) {
			s.user = p.User.V // of a login, then, or of what a login started
		}
		if !s.nofile.Known() {
			return s
		}
		if l := s.limit(); i == 0 || l != facts.Unlimited && (out.limit() == facts.Unlimited || l < out.limit()) {
			out = s
		}
	}
	return out
}

// held is how many connections the application (or nginx) has now: 0 where
// that is unknown, which counts their memory as others'.
func (c Case) held(nginx bool) int64 {
	var n int64
	// The listeners of one port, of IPv4 and IPv6 and of processes that share a
	// socket, count the same connections.
	seen := make(map[uint16]bool)
	for _, p := range c.Processes.V {
		if p.Serves() == nginx {
			continue
		}
		for _, l := range p.Listen.V {
			if p.Listen.Known() && !seen[l.Addr.Port()] {
				seen[l.Addr.Port()] = true
				n += int64(l.Established)
			}
		}
	}
	return n
}

// connections are those that the application (or nginx) has now, as the ledger
// shows them: unknown where one of its processes hides its sockets. What workers
// listen at is told of their master.
func (c Case) connections(nginx bool) facts.Value[int64] {
	for _, p := range c.Processes.V {
		if p.Serves() != nginx && p.Part != "worker" && !p.Listen.Known() {
			return facts.Value[int64]{Err: p.Listen.Err}
		}
	}
	return facts.Value[int64]{V: c.held(nginx), Source: "/proc/net/tcp"}
}

// carriesApp says whether the application runs, or is to run, on the host.
func (c Case) carriesApp() bool { return c.Role != "proxy" }

// roomy rounds a need up so that it is not met to the unit: 65536, or a power
// of two that is at least half as much again.
func roomy(need int64) int64 {
	n := int64(1 << 16)
	for n < need+need/2 {
		n *= 2
	}
	return n
}
