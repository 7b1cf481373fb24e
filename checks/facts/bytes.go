package facts

import (
	"strconv"
	"strings"
)

// Bytes writes the size of a model or an update, in bytes, as they are named:
// in decimal units, "13 MB", "1.5 kB".
func Bytes(n int64) string {
	f, unit := float64(n), " B"
	for _, u := range []string{" kB", " MB", " GB", " TB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1000, u
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + unit
}
