package facts

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// limitFiles are pam_limits': the file, then the directory's by name.
const (
	limitsConf = "/etc/security/limits.conf"
	limitsDir  = "/etc/security/limits.d"
)

// LimitLine is a line of limits.conf or limits.d on nofile or nproc, or one
// that lifts a domain out of all limits ("alice -").
type LimitLine struct {
	Domain string `json:"domain"` // "alice", "@group", "*", "1000:2000", "@100:200"
	Type   string `json:"type"`   // "soft", "hard", "-" (both)
	Item   string `json:"item"`   // "nofile", "nproc", "" (lifts all)
	Value  Limit  `json:"value"`
	Source string `json:"source"` // file:line
}

// Login is what a login session of a user gets from pam_limits. Services of
// systemd get nothing of it.
type Login struct {
	User   string   `json:"user"`
	Limits Limits   `json:"limits"`
	Lines  []string `json:"lines,omitempty"` // file:line of those that decided nofile, soft then hard
}

// readLimitLines reads every line that counts; one file that can't be read
// makes all unknown, since its lines might win.
func readLimitLines(r Root) Value[[]LimitLine] {
	files := []string{limitsConf}
	names, err := r.ReadDir(limitsDir)
	if err != nil && !absent(err) {
		return unknown[[]LimitLine](err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".conf") {
			files = append(files, path.Join(limitsDir, name))
		}
	}
	var lines []LimitLine
	for _, file := range files {
		b, err := r.ReadFile(file)
		if absent(err) {
			continue
		}
		if err != nil {
			return unknown[[]LimitLine](err)
		}
		lines = append(lines, parseLimitsConf(string(b), file)...)
	}
	return known(lines, limitsConf)
}

// parseLimitsConf keeps what pam_limits would heed on nofile and nproc; a line
// that it would refuse is skipped here as there.
func parseLimitsConf(text, file string) []LimitLine {
	var out []LimitLine
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		l := LimitLine{Source: fmt.Sprintf("%s:%d", file, n)}
		switch len(f) {
		case 2:
			if f[1] != "-" {
				continue
			}
			l.Domain, l.Type = f[0], "-"
		case 4:
			l.Domain, l.Type, l.Item = f[0], strings.ToLower(f[1]), strings.ToLower(f[2])
			if l.Item != "nofile" && l.Item != "nproc" || !slices.Contains([]string{"soft", "hard", "-"}, l.Type) {
				continue
			}
			v := strings.ToLower(f[3])
			if v == "-1" || v == "-" {
				v = "unlimited"
			}
			limit, err := parseLimit(v)
			if err != nil {
				continue
			}
			l.Value = limit
		default:
			continue
		}
		out = append(out, l)
	}
	return out
}

// specificity ranks how closely a domain means a user: higher wins, 0 is not at all.
func specificity(domain string, a account) int {
	const everybody, group, user = 1, 2, 3
	inRange := func(s string, id int) (isRange, in bool) {
		lo, hi, isRange := strings.Cut(s, ":")
		if !isRange {
			return false, false
		}
		from, err1 := strconv.Atoi(lo)
		to, err2 := strconv.Atoi(hi)
		switch {
		case lo == "" && err2 == nil: // ":max" is that id alone
			return true, id == to
		case hi == "" && err1 == nil: // "min:" is all from there
			return true, id >= from
		}
		return true, err1 == nil && err2 == nil && from <= id && id <= to
	}
	// The manual: group and wildcard limits do not apply to root.
	root := a.uid == 0
	if g, ok := strings.CutPrefix(domain, "@"); ok {
		isRange, in := inRange(g, a.gid)
		if isRange && in && !root || !isRange && slices.Contains(a.groups, g) && !root {
			return group
		}
		return 0
	}
	if domain == "*" {
		if root {
			return 0
		}
		return everybody
	}
	if domain == a.name {
		return user
	}
	if isRange, in := inRange(domain, a.uid); isRange && in && !root {
		return user
	}
	return 0
}

// resolveLogin applies lines to a user as pam_limits does: the most specific
// domain wins, of equals the last line; soft never stays above hard.
func resolveLogin(lines []LimitLine, a account, base Limits) Login {
	out := Login{User: a.name, Limits: base}
	type slot struct {
		limit *Limit
		rank  int
		from  string
	}
	nofile := [2]slot{{limit: &out.Limits.NoFile.Soft}, {limit: &out.Limits.NoFile.Hard}}
	nproc := [2]slot{{limit: &out.Limits.NProc.Soft}, {limit: &out.Limits.NProc.Hard}}
	for _, l := range lines {
		rank := specificity(l.Domain, a)
		if rank == 0 {
			continue
		}
		if l.Item == "" { // lifted out of limits altogether
			return Login{User: a.name, Limits: base, Lines: []string{l.Source}}
		}
		slots := &nofile
		if l.Item == "nproc" {
			slots = &nproc
		}
		for i, kind := range []string{"soft", "hard"} {
			if s := &slots[i]; (l.Type == kind || l.Type == "-") && rank >= s.rank {
				*s.limit, s.rank, s.from = l.Value, rank, l.Source
			}
		}
	}
	for _, b := range []*Bound{&out.Limits.NoFile, &out.Limits.NProc} {
		if b.Hard != Unlimited && (b.Soft == Unlimited || b.Soft > b.Hard) {
			b.Soft = b.Hard
		}
	}
	for _, s := range nofile {
		if s.from != "" && !slices.Contains(out.Lines, s.from) {
			out.Lines = append(out.Lines, s.from)
		}
	}
	return out
}

// readLogin resolves the limits of the user asked for. Asking for an unknown user
// is an error.
func readLogin(r Root, f Facts, user string) (Value[*Login], error) {
	if user == "" {
		return known[*Login](nil, "no user asked for"), nil
	}
	a, err := readAccount(r, user)
	if err != nil {
		if !absent(err) {
			return Value[*Login]{}, err
		}
		return unknown[*Login](err), nil
	}
	if !f.Logins.Known() {
		return unknown[*Login](fmt.Errorf("%s", f.Logins.Why())), nil
	}
	base, err := loginBase(r, f)
	if err != nil {
		return unknown[*Login](err), nil
	}
	source := base.Source
	l := resolveLogin(f.Logins.V, a, base.V)
	if len(l.Lines) > 0 {
		source = strings.Join(l.Lines, ", ")
	}
	return known(&l, source), nil
}

// loginBase is what logins have where no line of pam_limits counts: what systemd
// gives to the services that they come by, else what PID 1 has.
func loginBase(r Root, f Facts) (Value[Limits], error) {
	base := f.Ceiling
	switch {
	case !f.Systemd.Known():
		return base, errors.New(f.Systemd.Why())
	case f.Systemd.V:
		base = convert(readManagerDefault(r), func(b Bound) (Limits, error) {
			return Limits{NoFile: b, NProc: Bound{Unlimited, Unlimited}}, nil
		})
	}
	if !base.Known() {
		return base, errors.New(base.Why())
	}
	return base, nil
}
