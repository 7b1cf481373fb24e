package kinds

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Short writes a time as a person would: "30s", "1h", "6h30m".
func Short(d time.Duration) string {
	if d == Forever {
		return "for ever"
	}
	t := d.String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return t
}

func processes(n int64) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// afterRequests is when a process is recycled.
func afterRequests(n int64) string { return fmt.Sprintf("after %d requests", n) }

// secondsText writes a time as settings have it: seconds, perhaps with a fraction.
func secondsText(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
