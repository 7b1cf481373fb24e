package nginx

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// level is one block as a place that settings are inherited from.
type level struct {
	up     *level  // nil ends inheritance
	block  []*node // in order
	own    map[string][]*node
	broken string
	d      *decoder

	defaults bool // of a part of http: what is not set in it has its default
}

func (d *decoder) level(up *level, n *node) *level {
	l := &level{up: up, block: n.block, own: make(map[string][]*node, len(n.block)), broken: n.broken, d: d}
	for _, s := range n.block {
		l.own[s.name] = append(l.own[s.name], s)
	}
	return l
}

// onlyHTTP is why nothing is known of what stands outside of a file of the http
// block.
const onlyHTTP = "only a file of the http block was given"

// unread says why the level may hold more than is known; "" where it does not, and
// where what was not given is to be taken for the default.
func (l *level) unread() string {
	if l.defaults && l.broken == onlyHTTP {
		return ""
	}
	return l.broken
}

// find returns the statements of the innermost level that has any. Where a
// level on the way could not be read in full, that is the answer.
func (l *level) find(name string) (found []*node, unknown string) {
	found, _, unknown = l.findAll(name)
	return found, unknown
}

// findAll is find for what may stand several times: more says why the level may
// have further statements.
func (l *level) findAll(name string) (found []*node, more, unknown string) {
	for ; l != nil; l = l.up {
		why := l.unread()
		if found = l.own[name]; found != nil {
			if why != "" {
				more = fmt.Sprintf("whether there is another %s is unknown: %s", name, why)
			}
			return found, more, ""
		}
		if why != "" {
			return nil, "", fmt.Sprintf("whether %s is set is unknown: %s", name, why)
		}
	}
	return nil, "", ""
}

// dflt is a built-in default in the config's own words, or why it is unknown.
type dflt struct{ text, err string }

func is(text string) dflt { return dflt{text: text} }

// since is for a default that changed with a version.
func (d *decoder) since(version, now, before string) dflt {
	switch since, known := d.cfg.Build.Since(version); {
	case !known:
		return dflt{err: fmt.Sprintf("the default hangs on nginx's version, which is unknown: %s from %s on, %s before",
			orNone(now), version, orNone(before))}
	case since:
		return is(now)
	}
	return is(before)
}

// compiled is for a default that is chosen when nginx is built.
func (d *decoder) compiled(text string) dflt {
	if text == "" {
		return dflt{err: "the default is chosen when nginx is built; nginx -V was not seen"}
	}
	return is(text)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// takesVariables are the settings that nginx works out anew for each request
// where they hold variables; it refuses a variable in the others.
var takesVariables = map[string]bool{
	"limit_rate": true, "limit_rate_after": true, "proxy_limit_rate": true,
	"proxy_bind": true, "proxy_method": true, "auth_basic": true,
	"ssl_certificate": true, "ssl_certificate_key": true,
	"access_log": true,
}

// scalar is a setting that may be given once a level.
func scalar[T any](l *level, name string, def dflt, parse func(args []string) (T, error)) Value[T] {
	found, unknown := l.find(name)
	if unknown != "" {
		return Value[T]{Err: unknown}
	}
	if found == nil {
		return byDefault(name, def, parse)
	}
	n := found[0]
	v := Value[T]{Raw: strings.Join(n.args, " "), Source: n.source()}
	if n.wrong != "" {
		v.Err = n.wrong
		return v
	}
	if len(found) > 1 {
		v.Err = l.d.refuse(found[1], "%q directive is duplicate", name)
		return v
	}
	if vars := variables(v.Raw); vars != nil && takesVariables[name] {
		v.Err = fmt.Sprintf("holds %s, known only while a request runs", strings.Join(vars, ", "))
		return v
	}
	var err error
	switch v.V, err = parse(n.args); {
	case errors.Is(err, errFlag):
		v.Err = l.d.refuse(n, "invalid value %q in %q directive, %s", v.Raw, name, err)
	case errors.Is(err, errEnum):
		v.Err = l.d.refuse(n, "%s %q", err, v.Raw)
	case err != nil:
		v.Err = l.d.refuse(n, "%q directive %s", name, err)
	}
	return v
}

func byDefault[T any](name string, def dflt, parse func([]string) (T, error)) Value[T] {
	v := Value[T]{Raw: def.text, Source: Default, Err: def.err}
	if def.err == "" {
		var err error
		if v.V, err = parse(strings.Fields(def.text)); err != nil {
			v.Err = fmt.Sprintf("default %q of %s: %s", def.text, name, err)
		}
	}
	return v
}

// one makes a parser of a setting's first argument.
func one[T any](parse func(string) (T, error)) func([]string) (T, error) {
	return func(args []string) (v T, err error) {
		if len(args) == 0 {
			return v, errValue
		}
		return parse(args[0])
	}
}

func (l *level) duration(name string, def dflt) Value[time.Duration] {
	return scalar(l, name, def, one(ParseTime))
}

func (l *level) size(name string, def dflt) Value[int64] {
	return scalar(l, name, def, one(ParseSize))
}

func (l *level) number(name string, def dflt) Value[int64] {
	return scalar(l, name, def, one(func(s string) (int64, error) {
		n, err := parseInt(s)
		if err != nil {
			return 0, errors.New("invalid number")
		}
		return n, nil
	}))
}

func (l *level) flag(name string, def dflt) Value[bool] {
	return scalar(l, name, def, one(parseFlag))
}

// set says whether a directive is there; what it holds may be a secret.
func (l *level) set(name string) Value[bool] {
	found, unknown := l.find(name)
	switch {
	case unknown != "":
		return Value[bool]{Err: unknown}
	case found == nil:
		return Value[bool]{Raw: "none", Source: Default}
	}
	return Value[bool]{V: true, Raw: "set", Source: found[0].source()}
}

// word is the first argument as it is; a default of "" is none.
func (l *level) word(name string, def dflt) Value[string] {
	return scalar(l, name, def, func(args []string) (string, error) {
		return strings.Join(args[:min(1, len(args))], ""), nil
	})
}

// enum is a word of a closed list.
func (l *level) enum(name string, def dflt, words ...string) Value[string] {
	return scalar(l, name, def, one(func(s string) (string, error) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		return "", errEnum
	}))
}

func (l *level) buffers(name string, def dflt) Value[Buffers] {
	return scalar(l, name, def, func(args []string) (b Buffers, err error) {
		if len(args) != 2 {
			return b, errValue
		}
		if b.Number, err = parseInt(args[0]); err == nil {
			b.Size, err = ParseSize(args[1])
		}
		if err == nil && (b.Number == 0 || b.Size == 0) {
			err = errValue
		}
		return b, err
	})
}

// list is a setting that replaces as a whole what was inherited: each of its
// statements, put through parse, is one element.
func list[T any](l *level, name string, def dflt, parse func(*node) T) Value[[]T] {
	found, more, unknown := l.findAll(name)
	if unknown != "" {
		return Value[[]T]{Err: unknown}
	}
	if found == nil {
		v := Value[[]T]{Raw: def.text, Source: Default, Err: def.err}
		if def.text != "" {
			v.V = []T{parse(&node{args: strings.Fields(def.text), file: Default})}
		}
		return v
	}
	v := Value[[]T]{Source: found[0].source(), Err: more}
	raws := make([]string, len(found))
	for i, n := range found {
		if n.wrong != "" {
			v.Err = n.wrong
			continue
		}
		v.V = append(v.V, parse(n))
		raws[i] = strings.Join(n.args, " ")
	}
	v.Raw = strings.Join(raws, "; ")
	return v
}

// lines is a list of statements, each as its arguments on one line.
func (l *level) lines(name string, def dflt) Value[[]string] {
	return list(l, name, def, func(n *node) string { return strings.Join(n.args, " ") })
}

// words is a setting whose arguments are a set, however many statements
// they are spread over.
func (l *level) words(name string, def dflt) Value[[]string] {
	found, more, unknown := l.findAll(name)
	if unknown != "" {
		return Value[[]string]{Err: unknown}
	}
	if found == nil {
		return Value[[]string]{V: strings.Fields(def.text), Raw: def.text, Source: Default, Err: def.err}
	}
	v := Value[[]string]{Source: found[0].source(), Err: more}
	for _, n := range found {
		v.V = append(v.V, n.args...)
		if n.wrong != "" {
			v.Err = n.wrong
		}
	}
	v.Raw = strings.Join(v.V, " ")
	if vars := variables(v.Raw); vars != nil {
		v.Err = fmt.Sprintf("holds %s, known only while a request runs", strings.Join(vars, ", "))
	}
	return v
}
