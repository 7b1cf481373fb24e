package nginx

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

func unreadable(err error) bool { return errors.Is(err, os.ErrPermission) }

// place is the kind of block that a statement stands in, as nginx's tables
// of directives name it; empty where no table applies.
type place string

// placeBits are the masks of crossplane's tables, which are nginx's own: the
// low bits say how many arguments a directive takes, the high ones where it
// may stand. crossplane keeps their names to itself; a test holds these
// numbers to directives that are known well.
var placeBits = map[place]uint{
	"main":              0x40000,
	"events":            0x80000,
	"mail":              0x100000,
	"mail/server":       0x200000,
	"stream":            0x400000,
	"stream/server":     0x800000,
	"stream/upstream":   0x1000000,
	"http":              0x2000000,
	"http/server":       0x4000000,
	"http/location":     0x8000000,
	"http/upstream":     0x10000000,
	"http/server/if":    0x20000000,
	"http/location/if":  0x40000000,
	"http/limit_except": 0x80000000,
}

const (
	bitBlock = 0x100
	bitExpr  = 0x200 // an expression in parentheses, which the lexer splits at spaces
	bitFlag  = 0x400
	bitAny   = 0x800
	bit1More = 0x1000
	bit2More = 0x2000
)

func (p place) enter(block string) place {
	var inner place
	switch {
	case p == "main":
		if block == "events" || block == "http" || block == "mail" || block == "stream" {
			inner = place(block)
		}
	case block == "location" && (p == "http/server" || p == "http/location"):
		inner = "http/location"
	case block == "limit_except" && p == "http/location":
		inner = "http/limit_except"
	case p != "":
		inner = p + "/" + place(block)
	}
	if placeBits[inner] == 0 {
		return ""
	}
	return inner
}

// check says in nginx's words why nginx would refuse a statement here, or "".
func (p place) check(n *node, b Build) string {
	here := placeBits[p]
	if here == 0 {
		return ""
	}
	masks := b.masks(n.name)
	allowed, what := false, ""
	for _, mask := range masks {
		if mask&here == 0 {
			continue
		}
		allowed = true
		if what = wrongForm(n, mask); what == "" {
			return wrongValue(n)
		}
	}
	switch {
	case len(masks) == 0 && !b.mayKnow(n.name):
		return fmt.Sprintf("unknown directive %s", quoted(n.name))
	case len(masks) > 0 && !allowed:
		return fmt.Sprintf("%q directive is not allowed here", n.name)
	}
	return what
}

// quoted is a word in nginx's messages: as it is, between quotes.
func quoted(s string) string { return `"` + s + `"` }

func wrongForm(n *node, mask uint) string {
	if mask&bitBlock != 0 && !n.isBlock {
		return fmt.Sprintf(`directive %q has no opening "{"`, n.name)
	}
	if mask&bitBlock == 0 && n.isBlock {
		return fmt.Sprintf(`directive %q is not terminated by ";"`, n.name)
	}
	switch count := len(n.args); {
	case mask&bitAny != 0,
		mask&(bit1More|bitExpr) != 0 && count >= 1,
		mask&bit2More != 0 && count >= 2,
		count <= 7 && mask>>count&1 != 0:
		return ""
	case mask&bitFlag != 0 && count == 1:
		if v := strings.ToLower(n.args[0]); v != "on" && v != "off" {
			return fmt.Sprintf(`invalid value %q in %q directive, it must be "on" or "off"`, n.args[0], n.name)
		}
		return ""
	}
	return fmt.Sprintf("invalid number of arguments in %q directive", n.name)
}
