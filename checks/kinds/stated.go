package kinds

import (
	"fmt"
	"slices"
	"time"
)

// StatedBeyond are the answers that the user states of a hop whose settings were read,
// and that promise more than these: `holds=5000 is stated, "sync, 1 × 1" was read`. A
// balancer's answers are defaults, and a statement is what corrects them. Alone are those
// that nothing was read beside.
func (h Hop) StatedBeyond() (list, alone []string) {
	if len(h.Stated) == 0 || h.Kind.Role == RoleBalancer || len(h.Processes) == 0 && h.Settings == nil {
		return nil, nil
	}
	read := h
	read.Stated = nil
	hard := func(b Bound) int64 { return b.Hard }
	list = append(list, beyond(h, Holds, h.Holds(), read.Holds(), hard)...)
	if h.Stated[Connections] == "" { // what it holds stands for them, too
		list = append(list, beyond(h, Holds, h.Holds(), read.Connections(), hard)...)
	}
	list = append(list, beyond(h, Connections, h.Connections(), read.Connections(), hard)...)
	same := func(n int64) int64 { return n }
	list = append(list, beyond(h, Body, h.Body(), read.Body(), same)...)
	list = append(list, beyond(h, Silence, h.Silence(), read.Silence(), func(d time.Duration) int64 { return int64(d) })...)
	for q, known := range map[Question]bool{
		Holds: read.Holds().Is() || read.Connections().Is(), Connections: read.Connections().Is(), Body: read.Body().Is(), Silence: read.Silence().Is(),
	} {
		if h.Stated[q] != "" && !known {
			alone = append(alone, fmt.Sprintf("%s=%s", q, h.Stated[q]))
		}
	}
	slices.Sort(alone)
	return list, alone
}

// beyond says where a statement is more than was read; -1 is without a bound.
func beyond[T any](h Hop, q Question, stated, read Answer[T], size func(T) int64) []string {
	if h.Stated[q] == "" || !stated.Is() || !read.Is() {
		return nil
	}
	s, r := size(stated.V), size(read.V)
	if r < 0 || s >= 0 && s <= r {
		return nil
	}
	return []string{fmt.Sprintf(`%s=%s is stated, "%s" was read`, q, h.Stated[q], read.Got)}
}
