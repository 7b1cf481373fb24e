package loadgen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Think is the distribution of a worker's time between model and update. The
// zero value is no time at all.
type Think struct {
	min, max time.Duration // uniform between them
	mean     time.Duration // exponential, if not zero
}

// ParseThink reads "0", "2s" (constant), "uniform:1s-3s" or "exp:2s".
func ParseThink(s string) (Think, error) {
	bad := fmt.Errorf("think time %q: want 0, 2s, uniform:1s-3s or exp:2s", s)
	kind, arg, found := strings.Cut(s, ":")
	if !found {
		kind, arg = "", s
	}
	parse := func(s string) (time.Duration, bool) {
		d, err := time.ParseDuration(s)
		return d, err == nil && d >= 0
	}
	switch kind {
	case "":
		d, ok := parse(arg)
		if !ok {
			return Think{}, bad
		}
		return Think{min: d, max: d}, nil
	case "exp":
		d, ok := parse(arg)
		if !ok {
			return Think{}, bad
		}
		return Think{mean: d}, nil
	case "uniform":
		from, to, _ := strings.Cut(arg, "-")
		lo, ok1 := parse(from)
		hi, ok2 := parse(to)
		if !ok1 || !ok2 || hi < lo {
			return Think{}, bad
		}
		return Think{min: lo, max: hi}, nil
	}
	return Think{}, bad
}

func (t Think) draw(r *rand.PCG) time.Duration {
	if t == (Think{}) {
		return 0
	}
	rnd := rand.New(r) // #nosec G404 -- of a load, no secret
	if t.mean > 0 {
		return time.Duration(rnd.ExpFloat64() * float64(t.mean))
	}
	return t.min + time.Duration(rnd.Int64N(int64(t.max-t.min)+1))
}
