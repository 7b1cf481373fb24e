package nginx

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	// errValue is nginx's own word for a value it can't read.
	errValue = errors.New("invalid value")
	errEnum  = errors.New("invalid value") // of a closed list
	errFlag  = errors.New(`it must be "on" or "off"`)
)

// ParseSize reads a size as nginx does for buffers: bytes, or with the suffix
// k or m (either case). Result in bytes, 0 or more.
func ParseSize(s string) (int64, error) { return parseSize(s, "kKmM") }

// ParseOffset reads a size as nginx does for bodies and files: as ParseSize,
// and with the suffix g (either case).
func ParseOffset(s string) (int64, error) { return parseSize(s, "kKmMgG") }

func parseSize(s, suffixes string) (int64, error) {
	scale := int64(1)
	if n := len(s); n > 0 && strings.IndexByte(suffixes, s[n-1]) >= 0 {
		switch s[n-1] {
		case 'k', 'K':
			scale = 1 << 10
		case 'm', 'M':
			scale = 1 << 20
		case 'g', 'G':
			scale = 1 << 30
		}
		s = s[:n-1]
	}
	n, err := parseInt(s)
	if err != nil || n > math.MaxInt64/scale {
		return 0, errValue
	}
	return n * scale, nil
}

// parseInt reads a number as nginx does: digits only, no sign.
func parseInt(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, errValue
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errValue
	}
	return n, nil
}

// timeUnits in the order in which nginx wants them, in milliseconds. A value
// without a unit is seconds and ends the text.
var timeUnits = []struct {
	name string
	ms   int64
}{
	{"y", 365 * 24 * 3600 * 1000},
	{"M", 30 * 24 * 3600 * 1000},
	{"w", 7 * 24 * 3600 * 1000},
	{"d", 24 * 3600 * 1000},
	{"h", 3600 * 1000},
	{"m", 60 * 1000},
	{"s", 1000},
	{"ms", 1},
}

// ParseTime reads a time as nginx does for timeouts: "60", "1m30s", "1d 12h",
// "250ms"; units w d h m s ms, largest first. Years and months, which nginx
// knows for other settings only, are refused as nginx refuses them. What
// exceeds a Duration (292 years) is cut to the longest Duration.
func ParseTime(s string) (time.Duration, error) { return parseTime(s, 2, len(timeUnits)) }

// ParseSeconds reads a time as nginx does where it counts in whole seconds:
// as ParseTime, with y and M and without ms.
func ParseSeconds(s string) (time.Duration, error) { return parseTime(s, 0, len(timeUnits)-1) }

// parseTime accepts all that nginx accepts, "1hm" and "h1" included: first is
// the largest unit that is still allowed, end the unit after the smallest.
func parseTime(s string, first, end int) (time.Duration, error) {
	const second = 6
	var total int64 // ms
	valid := false
	for s != "" {
		var n int64
		if digits := len(s) - len(strings.TrimLeft(s, "0123456789")); digits > 0 {
			var err error
			if n, err = parseInt(s[:digits]); err != nil {
				return 0, errValue
			}
			s, valid = s[digits:], true
		}
		unit := timeUnits[second].ms
		switch {
		case s == "":
		case s[0] == ' ':
			if first > second {
				return 0, errValue
			}
			first = end
		default:
			name := s[:1]
			if strings.HasPrefix(s, "ms") {
				name = "ms"
			}
			i := first
			for i < end && timeUnits[i].name != name {
				i++
			}
			if i == end {
				return 0, errValue
			}
			unit, first, s = timeUnits[i].ms, i+1, s[len(name):]
		}
		if n > (math.MaxInt64-total)/unit {
			return 0, errValue
		}
		total += n * unit
		s = strings.TrimLeft(s, " ")
	}
	if !valid {
		return 0, errValue
	}
	if total > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64, nil
	}
	return time.Duration(total) * time.Millisecond, nil
}

func parseFlag(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, errFlag
}

// variables names the variables that a value holds: "$host", "${request_id}".
func variables(s string) []string {
	var found []string
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			continue
		}
		end := i + 1
		for end < len(s) && (s[end] == '_' || s[end] == '{' && end == i+1 ||
			s[end] >= '0' && s[end] <= '9' || s[end] >= 'a' && s[end] <= 'z' || s[end] >= 'A' && s[end] <= 'Z') {
			end++
		}
		if end == i+1 {
			continue // a lone "$", as at the end of a regular expression
		}
		found = append(found, "$"+strings.TrimPrefix(s[i+1:end], "{"))
		i = end - 1
	}
	return found
}

// HasVariables tells whether a value can only be known while a request runs.
func HasVariables(s string) bool { return len(variables(s)) > 0 }
