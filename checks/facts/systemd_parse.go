package facts

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// serviceName adds ".service" where it is missing.
func serviceName(s string) string {
	if s == "" || strings.HasSuffix(s, ".service") {
		return s
	}
	return s + ".service"
}

// setting is one line of a unit file.
type setting struct {
	section, key, value string
	source              string // file:line
}

// parseUnit reads a unit file: sections, "key=value", comments, lines continued
// by a backslash. Lines that are none of these are skipped, as systemd does.
func parseUnit(text, file string) []setting {
	var out []setting
	section, pending := "", ""
	n, start := 0, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" && pending == "" {
			continue
		}
		if trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
			continue // within a continued line, too
		}
		if pending == "" {
			start = n
		}
		if cont, ok := strings.CutSuffix(line, `\`); ok {
			pending += cont + " "
			continue
		}
		full := strings.TrimSpace(pending + line)
		pending = ""
		if name, ok := strings.CutPrefix(full, "["); ok && strings.HasSuffix(name, "]") {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(full, "=")
		if !ok {
			continue
		}
		out = append(out, setting{section, strings.TrimSpace(key), strings.TrimSpace(value), fmt.Sprintf("%s:%d", file, start)})
	}
	return out
}

// unitLimit reads TasksMax=, a count, and MemoryMax= and MemoryHigh=, bytes with
// a suffix; "infinity" and nothing are none. Shares of the host ("50%") are not
// worked out.
func unitLimit(s setting) Value[Limit] {
	v := s.value
	scale := int64(1)
	if i := strings.IndexAny("KMGT", lastByte(v)); v != "" && i >= 0 && s.key != "TasksMax" {
		scale, v = 1<<(10*(i+1)), v[:len(v)-1]
	}
	if v == "" {
		return known(Unlimited, s.source)
	}
	l, err := parseUnitLimit(v)
	if err != nil || l > 1<<62/Limit(scale) {
		return Value[Limit]{Err: fmt.Sprintf("%s: %s=%s is not a plain count", s.source, s.key, s.value)}
	}
	if l != Unlimited {
		l *= Limit(scale)
	}
	return known(l, s.source)
}

// parseUnitLimit reads a count, decimal, hexadecimal (0x) or octal (0), or
// systemd's one word for none, "infinity". A line with "unlimited", a suffix or a
// remark behind it is skipped by systemd.
func parseUnitLimit(s string) (Limit, error) {
	if s == "infinity" {
		return Unlimited, nil
	}
	s = strings.TrimPrefix(s, "+")
	if strings.ContainsAny(s, "_oO+-") {
		return 0, fmt.Errorf("%q is no limit to systemd", s)
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n == math.MaxUint64 {
		return 0, fmt.Errorf("%q is no limit to systemd", s)
	}
	return Limit(min(n, 1<<62)), nil
}

func lastByte(s string) string {
	if s == "" {
		return "\x00"
	}
	return s[len(s)-1:]
}

// parseUnitBound reads "soft:hard" or one value for both.
func parseUnitBound(s string) (Bound, error) {
	soft, hard, two := strings.Cut(s, ":")
	if !two {
		hard = soft
	}
	var b Bound
	var err error
	if b.Soft, err = parseUnitLimit(strings.TrimLeft(soft, " \t")); err != nil {
		return b, err
	}
	if b.Hard, err = parseUnitLimit(strings.TrimLeft(hard, " \t")); err != nil {
		return b, err
	}
	if b.Hard != Unlimited && (b.Soft == Unlimited || b.Soft > b.Hard) {
		return b, fmt.Errorf("soft limit above the hard one")
	}
	return b, nil
}
