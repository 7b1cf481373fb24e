package facts

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Where pam_limits reads: the file, or where that is absent the vendor's; then
// the files of both directories by name, of one name the administrator's.
var (
	limitsConfs = []string{"/etc/security/limits.conf", "/usr/etc/security/limits.conf"}
	limitsDirs  = []string{limitsDir, "/usr/etc/security/limits.d"}
)

// limitsDir is the administrator's.
const limitsDir = "/etc/security/limits.d"

// LimitLine is a line of limits.conf or limits.d on nofile or nproc, or one
// that lifts a domain out of all limits ("alice -").
type LimitLine struct {
	Domain string `json:"domain"` // "alice", "@group", "*", "1000:2000", "@100:200"
	Type   string `json:"type"`   // "soft", "hard", "-" (both)
	Item   string `json:"item"`   // "nofile", "nproc", "" (lifts all)
	Value  Limit  `json:"value"`
	Source string `json:"source"` // file:line
}

// readLimitLines reads every line that counts; one file that can't be read
// makes all unknown, since its lines might win. A module that is told a file by
// conf= reads no other.
func readLimitLines(r Root, conf string, firstWord bool) Value[[]LimitLine] {
	files, err := limitFiles(r, conf)
	if err != nil {
		return unknown[[]LimitLine](err)
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
		lines = append(lines, parseLimitsConf(string(b), file, firstWord)...)
	}
	return known(lines, limitsConfs[0])
}

func limitFiles(r Root, conf string) ([]string, error) {
	if conf != "" {
		return []string{conf}, nil
	}
	var files []string
	for _, f := range limitsConfs {
		if r.Exists(f) {
			files = append(files, f)
			break
		}
	}
	byName := make(map[string]string)
	for _, dir := range limitsDirs {
		names, err := r.ReadDir(dir)
		if err != nil && !absent(err) {
			return nil, err
		}
		for _, name := range names {
			// A shell's pattern "*.conf" means no hidden files.
			if byName[name] == "" && strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".") {
				byName[name] = path.Join(dir, name)
			}
		}
	}
	return append(files, sortedByName(byName)...), nil
}

func sortedByName(byName map[string]string) []string {
	out := make([]string, 0, len(byName))
	for _, p := range byName {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return out
}

// parseLimitsConf keeps what pam_limits would heed on nofile and nproc; a line
// that it would refuse is skipped here as there. Before 1.6 it looked at the first
// word of a value alone.
func parseLimitsConf(text, file string, firstWord bool) []LimitLine {
	var out []LimitLine
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 || badRange(f[0]) {
			continue
		}
		l := LimitLine{Domain: f[0], Type: strings.ToLower(f[1]), Source: fmt.Sprintf("%s:%d", file, n)}
		switch {
		case len(f) == 2:
			if !strings.HasPrefix(l.Type, "-") {
				continue
			}
			l.Type = "-"
		case len(f) >= 4: // what stands behind a number is not looked at
			l.Item = strings.ToLower(f[2])
			if l.Item != "nofile" && l.Item != "nproc" || !slices.Contains([]string{"soft", "hard", "-"}, l.Type) {
				continue
			}
			value := f[3:]
			if firstWord {
				value = value[:1]
			}
			v, ok := pamNumber(strings.ToLower(strings.Join(value, " ")))
			if !ok {
				continue
			}
			l.Value = v
		default:
			continue
		}
		out = append(out, l)
	}
	return out
}

// pamNumber reads a limit as pam_limits does: a word for none, else strtoull's
// digits, up to the first character that is none: "65,536" is 65.
func pamNumber(s string) (Limit, bool) {
	switch s {
	case "-1", "-", "unlimited", "infinity":
		return Unlimited, true
	}
	digits, negative := strings.TrimPrefix(s, "+"), false
	if digits == s {
		digits, negative = strings.CutPrefix(s, "-")
	}
	end := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case digits == "":
		return 0, false
	case err != nil || negative && n > 0 || n > 1<<62:
		return 1 << 62, true // above any fs.nr_open
	}
	return Limit(n), true
}

// An idRange is a domain by ids: "min:max", "min:" (all from there) or ":id"
// (that one).
type idRange struct {
	lo, hi int
	exact  bool
}

// badRange says whether a domain is a range that pam_limits can't read.
func badRange(domain string) bool {
	_, isRange, err := parseRange(strings.TrimLeft(domain, "@%"))
	return isRange && err != nil
}

func parseRange(s string) (r idRange, isRange bool, err error) {
	lo, hi, isRange := strings.Cut(s, ":")
	if !isRange {
		return idRange{}, false, nil
	}
	r = idRange{lo: 0, hi: 1<<32 - 1, exact: lo == ""}
	if lo == "" && hi == "" {
		return r, true, fmt.Errorf("%q is no range", s)
	}
	if lo != "" {
		if r.lo, err = strconv.Atoi(lo); err != nil {
			return r, true, err
		}
	}
	if hi != "" {
		if r.hi, err = strconv.Atoi(hi); err != nil {
			return r, true, err
		}
	}
	if r.exact {
		r.lo = r.hi
	}
	return r, true, nil
}

func (r idRange) has(id int) bool { return r.lo <= id && id <= r.hi }

// How closely a domain means a user: higher wins.
const (
	rankNone = iota
	rankKernel
	rankEverybody
	rankGroup
	rankUser
)

// rank is how closely a domain means a user. An exact group id means those of all
// the user's groups, a range of them that of the first. spareRoot is Debian's
// and Ubuntu's patch: neither * nor a group's name means root, and of a range of
// groups its module takes the numbers for ids of users (measured on 1.5.2).
func rank(domain string, a account, spareRoot bool) int {
	root := spareRoot && a.uid == 0
	if domain == a.name {
		return rankUser
	}
	g, ok := strings.CutPrefix(domain, "@")
	if ok && root {
		domain, ok = g, !strings.Contains(g, ":")
	}
	if ok {
		r, isRange, err := parseRange(g)
		in := slices.Contains(a.groups, g)
		switch {
		case isRange && r.exact:
			in = slices.ContainsFunc(a.gids, r.has)
		case isRange:
			in = r.has(a.gid)
		}
		if err != nil || !in || root {
			return rankNone
		}
		return rankGroup
	}
	if domain == "*" {
		if root {
			return rankNone
		}
		return rankEverybody
	}
	if r, isRange, err := parseRange(domain); isRange && err == nil && r.has(a.uid) {
		return rankUser
	}
	return rankNone
}
