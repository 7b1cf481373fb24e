package checks

import (
	"fmt"
	"strings"
	"time"
)

// short writes a time as a person would, and a flag takes it: "30s", "1h", "6h30m".
func short(d time.Duration) string {
	t := d.String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return t
}

// duration is a number of seconds as a time.
func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// seconds is short of a setting.
func seconds(s float64) string { return short(duration(s)) }

// clock is short of what was measured, rounded to 0.1 s, and from a minute on to 1 s.
func clock(seconds float64) string {
	d := duration(seconds).Round(100 * time.Millisecond)
	if d >= time.Minute {
		d = d.Round(time.Second)
	}
	return short(d)
}

// size writes bytes of memory and disks, in binary units with three digits at most.
func size(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	if unit == "B" || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, unit)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
