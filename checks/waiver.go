package checks

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ParseWaiver reads "ID = reason" or "ID until 2027-01-31 = reason". The check
// must exist and a reason must be given.
func ParseWaiver(s string) (Waiver, error) {
	head, reason, ok := strings.Cut(s, "=")
	f := strings.Fields(head)
	if reason = strings.TrimSpace(reason); !ok || reason == "" || len(f) == 0 {
		return Waiver{}, errors.New("want ID=reason")
	}
	if _, ok := ByID(f[0]); !ok {
		return Waiver{}, fmt.Errorf("there is no check %q", f[0])
	}
	w := Waiver{ID: f[0], Reason: reason}
	if len(f) == 1 {
		return w, nil
	}
	if len(f) != 3 || f[1] != "until" {
		return Waiver{}, fmt.Errorf("want ID until YYYY-MM-DD = reason, not %q", strings.TrimSpace(head))
	}
	var err error
	if w.Until, err = time.Parse(time.DateOnly, f[2]); err != nil {
		return Waiver{}, fmt.Errorf("%q is no date (YYYY-MM-DD)", f[2])
	}
	return w, nil
}
