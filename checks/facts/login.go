package facts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Login is what a session of a user gets from pam_limits. Services of systemd get
// nothing of it, unless they ask for a session by PAMName=.
type Login struct {
	User    string   `json:"user"`
	Limits  Limits   `json:"limits"`
	Lines   []string `json:"lines,omitempty"`   // file:line of those that decided nofile, soft then hard
	Lifted  bool     `json:"lifted,omitempty"`  // "alice -": no limit is set, and no line added changes that
	Kept    string   `json:"kept,omitempty"`    // why the lines change nothing: what they ask for can't be set
	Refused string   `json:"refused,omitempty"` // why the session is refused for what the lines ask
}

// pamVersion is that of Linux-PAM.
type pamVersion [3]int

// unlimitedIsMost is the version from which "unlimited" of nofile is fs.nr_open;
// before it is a limit that the kernel refuses.
var unlimitedIsMost = pamVersion{1, 5, 2}

func (v pamVersion) before(w pamVersion) bool { return slices.Compare(v[:], w[:]) < 0 }

// readPAMVersion finds Linux-PAM's version in dpkg's database, else by the
// distribution.
func readPAMVersion(r Root, o Value[OS]) (v pamVersion, known bool) {
	if text, err := r.ReadString("/var/lib/dpkg/status"); err == nil {
		if s := dpkgVersion(text, "libpam-modules"); s != "" {
			return parsePAMVersion(s)
		}
	}
	if !o.Known() {
		return pamVersion{}, false
	}
	rel, ok := releaseOf(o.V)
	return rel.pam, ok
}

// parsePAMVersion reads "1.5.2-6+deb12u1".
func parsePAMVersion(s string) (v pamVersion, ok bool) {
	s, _, _ = strings.Cut(s, "-")
	for i, part := range strings.SplitN(s, ".", 4) {
		n, err := strconv.Atoi(part)
		if err != nil || i == len(v) {
			return v, i > 1
		}
		v[i] = n
	}
	return v, true
}

// pamRules are how a distribution's pam_limits differs.
type pamRules struct {
	debian    bool  // * and @group spare root, and a limit that can't be set is no error
	known     bool  // which distribution it is
	setAll    bool  // limits that no line sets are PID 1's
	softCap   Limit // of those, Debian's patch; 0: none
	nrOpen    Value[int64]
	pid1      Value[Bound]
	mayRaise  Value[bool]
	unlimited Value[bool] // whether "unlimited" is fs.nr_open
}

func (s services) pamRules(session Session) pamRules {
	r := pamRules{nrOpen: s.pid1.nrOpen, pid1: s.pid1.own, mayRaise: s.pid1.mayRaise, setAll: session.SetAll}
	if v, ok := readPAMVersion(s.r, s.os); ok {
		r.unlimited = known(!v.before(unlimitedIsMost), fmt.Sprintf("Linux-PAM %d.%d.%d", v[0], v[1], v[2]))
		if s.os.Known() && s.os.V.enterprise() && v.before(unlimitedIsMost) {
			r.unlimited = Value[bool]{Err: "whether this pam_limits can set nofile to unlimited is not known"} // some updates can
		}
	} else {
		r.unlimited = Value[bool]{Err: "the version of Linux-PAM is not known, and before 1.5.2 nofile can't be set to unlimited"}
	}
	r.known = s.os.Known()
	if r.known && s.os.V.Is("debian", "ubuntu") {
		r.debian = true
		if s.os.V.Is("ubuntu") || s.os.V.Major() > 0 && s.os.V.Major() <= 12 {
			r.setAll, r.softCap = true, 1024
		}
	}
	return r
}

// limitLines reads limits.conf as this host's pam_limits does.
func (s services) limitLines(conf string) Value[[]LimitLine] {
	v, ok := readPAMVersion(s.r, s.os)
	return readLimitLines(s.r, conf, ok && v.before(pamVersion{1, 6, 0}))
}

// login is what a session of a user gets that begins with some limits.
func (s services) login(user string, session Session, start Limits, from string) (Login, string, error) {
	a, err := readAccount(s.r, user)
	if err != nil {
		return Login{}, "", err
	}
	if !session.Limited {
		return Login{User: a.name, Limits: start}, from, nil
	}
	lines := s.limitLines(session.Conf)
	if !lines.Known() {
		return Login{}, "", errors.New(lines.Why())
	}
	rules := s.pamRules(session)
	l, err := resolveLogin(lines.V, a, start, rules)
	if err != nil {
		return Login{}, "", err
	}
	switch {
	case len(l.Lines) > 0:
		from = strings.Join(l.Lines, ", ")
	case rules.setAll && l.Limits.NoFile != start.NoFile:
		from = rules.pid1.Source
	}
	return l, from, nil
}

// resolveLogin applies lines to a user as pam_limits does: the most specific
// domain wins, of equals the last line; the hard half of a "-" line is not looked
// at where its soft half loses; soft never stays above hard.
func resolveLogin(lines []LimitLine, a account, start Limits, rules pamRules) (Login, error) {
	out := Login{User: a.name, Limits: start}
	type slot struct {
		limit *Limit
		rank  int
		from  string
	}
	nofile := [2]slot{{limit: &out.Limits.NoFile.Soft}, {limit: &out.Limits.NoFile.Hard}}
	nproc := [2]slot{{limit: &out.Limits.NProc.Soft}, {limit: &out.Limits.NProc.Hard}}
	set := false
	if rules.setAll {
		if !rules.pid1.Known() {
			return Login{}, fmt.Errorf("limits of PID 1, with which a login begins here: %s", rules.pid1.Why())
		}
		out.Limits.NoFile = rules.pid1.V
		if rules.softCap > 0 {
			out.Limits.NoFile.Soft = least(out.Limits.NoFile.Soft, rules.softCap)
		}
		nofile[0].rank, nofile[1].rank, set = rankKernel, rankKernel, true
	}
	for _, l := range lines {
		rank := rank(l.Domain, a, rules.debian || !rules.known)
		if rank == rankNone || l.Item == "" && l.Domain == "*" {
			continue
		}
		if l.Item == "" { // lifted out of limits altogether
			return Login{User: a.name, Limits: start, Lines: []string{l.Source}, Lifted: true}, nil
		}
		slots := &nofile
		if l.Item == "nproc" {
			slots = &nproc
		}
		for i, kind := range []string{"soft", "hard"} {
			if l.Type != kind && l.Type != "-" {
				continue
			}
			s := &slots[i]
			if rank < s.rank {
				break
			}
			*s.limit, s.rank, s.from = l.Value, rank, l.Source
			set = set || l.Item == "nofile"
		}
	}
	for _, s := range nofile {
		if s.from == "" || *s.limit != Unlimited {
			continue
		}
		switch {
		case !rules.unlimited.Known():
			return Login{}, errors.New(rules.unlimited.Why())
		case rules.unlimited.V && !rules.nrOpen.Known():
			return Login{}, errors.New(rules.nrOpen.Why())
		case rules.unlimited.V:
			*s.limit = Limit(rules.nrOpen.V)
		}
	}
	for _, b := range []*Bound{&out.Limits.NoFile, &out.Limits.NProc} {
		if less(b.Hard, b.Soft) {
			b.Soft = b.Hard
		}
	}
	for _, s := range nofile {
		if s.from != "" && !slices.Contains(out.Lines, s.from) {
			out.Lines = append(out.Lines, s.from)
		}
	}
	if !set {
		return out, nil
	}
	return rules.settle(out, start)
}

// settle asks the kernel's rules: a hard limit above fs.nr_open, or without
// CAP_SYS_RESOURCE above what the session has, sets nothing. On Debian and Ubuntu
// the session goes on with what it had; elsewhere it is refused.
func (rules pamRules) settle(l Login, start Limits) (Login, error) {
	hard := l.Limits.NoFile.Hard
	why := ""
	switch {
	case !rules.nrOpen.Known():
		return Login{}, fmt.Errorf("fs.nr_open: %s", rules.nrOpen.Why())
	case less(Limit(rules.nrOpen.V), hard):
		why = fmt.Sprintf("hard nofile %v is above fs.nr_open %d", hard, rules.nrOpen.V)
	case rules.mayRaise.Known() && !rules.mayRaise.V && less(start.NoFile.Hard, hard):
		why = fmt.Sprintf("hard nofile %v can't be raised here from %v", hard, start.NoFile.Hard)
	default:
		return l, nil
	}
	switch {
	case !rules.known:
		return Login{}, fmt.Errorf("%s: %s, and what pam_limits does then differs by distribution", strings.Join(l.Lines, ", "), why)
	case rules.debian:
		l.Limits.NoFile, l.Kept = start.NoFile, why
	default:
		l.Limits.NoFile, l.Refused = Bound{}, why
	}
	return l, nil
}

// readLogin resolves the limits of the user asked for. Asking for an unknown user
// is an error.
func (s services) readLogin(f Facts, user string) (Value[*Login], error) {
	if user == "" {
		return known[*Login](nil, "no user asked for"), nil
	}
	if _, err := readAccount(s.r, user); err != nil {
		if !absent(err) {
			return Value[*Login]{}, err
		}
		return unknown[*Login](err), nil
	}
	if !f.Session.Known() {
		return unknown[*Login](errors.New(f.Session.Why())), nil
	}
	start, err := s.loginStart(f)
	if err != nil {
		return unknown[*Login](err), nil
	}
	l, source, err := s.login(user, f.Session.V, start.V, start.Source)
	if err != nil {
		return unknown[*Login](err), nil
	}
	return known(&l, source), nil
}

// loginStart is what sessions begin with before pam_limits: what systemd gives to
// the service that they come by, else what PID 1 has.
func (s services) loginStart(f Facts) (Value[Limits], error) {
	start := f.Ceiling
	switch {
	case !f.Systemd.Known():
		return start, errors.New(f.Systemd.Why())
	case f.Systemd.V:
		v := s.ofSSHD()
		start = convert(v, func(b Bound) (Limits, error) {
			return Limits{NoFile: b, NProc: Bound{Unlimited, Unlimited}}, nil
		})
	}
	if !start.Known() {
		return start, errors.New(start.Why())
	}
	return start, nil
}

// ofSSHD is what systemd gives sshd, or would any service.
func (s services) ofSSHD() Value[Bound] {
	for _, name := range []string{"ssh.service", "sshd.service"} {
		if u, err := s.unit(systemManager, name); err == nil {
			return u.NoFile
		}
	}
	v, _ := s.managerDefault(systemManager, s.pid1)
	if !v.Known() {
		return v
	}
	got, refused, err := s.pid1.grant(v.V)
	if err != nil || refused != "" {
		return Value[Bound]{Err: v.Source + ": " + refused + fmt.Sprint(err)}
	}
	return known(got, v.Source)
}
