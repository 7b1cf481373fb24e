package nginx

import (
	"fmt"
	"regexp"
	"strings"
)

var variable = regexp.MustCompile(`\$(\w+|\{\w+\})`)

// settled is a text of a location with the variables written out that hold the same
// for every request: those that one set of the location or of its server gives a text
// without variables.
func (l *level) settled(text string) string {
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		if value, ok := l.alwaysSet("$" + strings.Trim(v, "${}")); ok {
			return value
		}
		return v
	})
}

func (l *level) alwaysSet(name string) (value string, ok bool) {
	server := l
	for server.up != nil && server.up != l.d.http {
		server = server.up
	}
	blocks := []*level{server, l}
	if server == l {
		blocks = blocks[:1]
	}
	sets := 0
	for _, b := range blocks {
		if b.unread() != "" {
			return "", false
		}
		sure := true // nothing before it may end the block
		for _, n := range b.block {
			switch {
			case strings.Contains(n.name, "_by_lua"), strings.HasPrefix(n.name, "auth_request_set"):
				return "", false
			case n.name == "set" && len(n.args) == 2 && strings.EqualFold(n.args[0], name):
				sets++
				value, ok = n.args[1], sure
			case n.name == "if":
				for _, in := range n.block {
					if in.name == "set" && len(in.args) > 0 && strings.EqualFold(in.args[0], name) {
						return "", false
					}
				}
				sure = false
			case n.name == "rewrite" || n.name == "break" || n.name == "return":
				sure = false
			}
		}
	}
	return value, ok && sets == 1 && !HasVariables(value)
}

// nameless is why a name that variables make can't be looked up while nginx runs; ""
// where it can.
func (l *level) nameless(name string) string {
	found, unknown := l.find("resolver")
	switch {
	case found != nil:
		return ""
	case unknown != "":
		return unknown
	}
	return fmt.Sprintf("%s is looked up while nginx runs, and no resolver is set: nginx answers 502", name)
}
