package kinds

import (
	"fmt"
	"slices"

	"github.com/fltool/fltool/checks/facts"
)

// peersOf are the settings of a way of which a proxy spreads requests over servers:
// how many addresses these have, and by what all of a worker's go to the same one; ""
// by nothing.
func peersOf(addresses []string, sticky facts.Value[string], from string) layer {
	addresses = slices.Clone(addresses)
	slices.Sort(addresses)
	return layer{"peers": known(fmt.Sprint(len(slices.Compact(addresses))), from), "sticky": sticky}
}

// spread answers how many servers one worker's requests go to.
func spread(h Hop) Answer[int64] {
	n, sticky := h.Count("peers"), h.Text("sticky")
	switch {
	case !n.Known():
		return unknown[int64](fmt.Sprintf("over how many servers it spreads requests is not read (%s): state it by --hop '%s peers=1'", n.Why(), h.Kind.Kind))
	case n.V <= 1:
		return is(n.V, "one server", n.Source)
	case !sticky.Known():
		return cant[int64]("by what it chooses among servers", sticky)
	case sticky.V != "":
		return is(int64(1), fmt.Sprintf("%d servers, each worker's by %s", n.V, sticky.V), sticky.Source)
	}
	return is(n.V, fmt.Sprintf("%d servers, and a worker's requests go to any", n.V), n.Source)
}
