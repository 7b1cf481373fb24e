package kinds

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
)

// A gate is what a proxy's config makes of workers' requests. The zero gate is open.
type gate struct {
	text  string // what keeps them out: "Require all denied: 403"; "": nothing does
	at    string
	maybe bool // it hangs on what can't be read here
}

func (g gate) open() bool { return g.text == "" }

// unsure is the gate where nobody can say whether it counts.
func (g gate) unsure() gate {
	g.maybe = true
	return g
}

// setting is the gate as a way's setting; from is where the way stands.
func (g gate) setting(from string) facts.Value[string] {
	switch {
	case g.open():
		return known("", from)
	case g.maybe:
		return facts.Value[string]{Err: g.text, Source: g.at}
	}
	return known(g.text, g.at)
}

// narrowest is the gate that all requests have to pass: one that is surely shut, else
// one that may be.
func narrowest(gates ...gate) (out gate) {
	for _, g := range gates {
		if !g.open() && (out.open() || out.maybe && !g.maybe) {
			out = g
		}
	}
	return out
}

// widest is the gate of requests for which one open gate is enough.
func widest(gates ...gate) (out gate) {
	for i, g := range gates {
		if i == 0 || g.open() || !out.open() && !out.maybe && g.maybe {
			out = g
		}
		if out.open() {
			return out
		}
	}
	return out
}

// someOnly is the gate of a list of addresses.
func someOnly(what, at string) gate {
	return gate{what + " and nobody else: whether workers come from there is not known", at, true}
}

// access answers whether workers are let in on the way.
func access(h Hop) Answer[bool] {
	v := h.Text("access")
	switch {
	case !v.Known():
		return Answer[bool]{Why: fmt.Sprintf("whether workers are let in: %s: state --hop '%s access=open' where they are", v.Why(), h.Kind.Kind), Source: v.Source}
	case v.V != "":
		return is(false, v.V, v.Source)
	}
	return is(true, "nothing asks workers for more than they have", v.Source)
}
