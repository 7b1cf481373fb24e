package facts

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
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

// unitTimes are the units of a time span, by all names that systemd.time(7) has;
// months and years are those of its calendar.
var unitTimes = map[string]time.Duration{
	"usec": time.Microsecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"msec": time.Millisecond, "ms": time.Millisecond,
	"": time.Second, "seconds": time.Second, "second": time.Second, "sec": time.Second, "s": time.Second,
	"minutes": time.Minute, "minute": time.Minute, "min": time.Minute, "m": time.Minute,
	"hours": time.Hour, "hour": time.Hour, "hr": time.Hour, "h": time.Hour,
	"days": day, "day": day, "d": day, "weeks": 7 * day, "week": 7 * day, "w": 7 * day,
	"months": 2629800 * time.Second, "month": 2629800 * time.Second, "M": 2629800 * time.Second,
	"years": 31557600 * time.Second, "year": 31557600 * time.Second, "y": 31557600 * time.Second,
}

const day = 24 * time.Hour

var timeSpan = regexp.MustCompile(`^\s*([0-9]+(?:\.[0-9]*)?)\s*([a-zA-Zµμ]*)`)

// unitTime reads a time span: "600", "1h 30min"; "infinity" is 0, and a span of 0,
// at which systemd ends the service at once, the least there is. One that can't be
// read is unknown, though systemd may skip it.
func unitTime(s setting) Value[time.Duration] {
	if s.value == "infinity" {
		return known(time.Duration(0), s.source)
	}
	var sum float64
	for rest := s.value; rest != ""; {
		m := timeSpan.FindStringSubmatch(rest)
		if m == nil {
			return Value[time.Duration]{Err: fmt.Sprintf("%s: %s=%s is no time span", s.source, s.key, s.value)}
		}
		n, err := strconv.ParseFloat(m[1], 64)
		unit, ok := unitTimes[m[2]]
		if err != nil || !ok {
			return Value[time.Duration]{Err: fmt.Sprintf("%s: %s=%s is no time span", s.source, s.key, s.value)}
		}
		sum += n * float64(unit)
		rest = strings.TrimSpace(rest[len(m[0]):])
	}
	if sum > float64(math.MaxInt64/2) { // 146 years
		return known(time.Duration(0), s.source)
	}
	return known(max(1, time.Duration(sum)), s.source)
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
