package kinds

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// A flag is one setting on a command line.
type flag struct {
	name, short, long string // of the setting; "-k", "--worker-class"; short may be ""
	def               string // built-in default
	alone             bool   // it takes no value: where it stands the setting is "true"
	exact             bool   // the program takes no abbreviation of it
}

// layer is what one source sets; unknown where it sets it in a way that can't be
// read.
type layer = facts.Settings

// known is a setting read from a place.
func known(v, source string) facts.Value[string] { return facts.Value[string]{V: v, Source: source} }

// unread is a setting that could not be had, and why.
func unread(err error) facts.Value[string] { return facts.Value[string]{Err: err.Error()} }

// defaults are the built-in ones.
func defaults(flags []flag, from string) layer {
	l := make(layer)
	for _, f := range flags {
		l[f.name] = known(f.def, from)
	}
	return l
}

// every is a layer that may set all and of which nothing is known.
func every(flags []flag, err error) layer {
	l := make(layer)
	for _, f := range flags {
		l[f.name] = unread(err)
	}
	return l
}

// over lays layers over each other: the last one that sets a thing counts.
func over(layers ...layer) layer {
	out := make(layer)
	for _, l := range layers {
		for name, v := range l {
			out[name] = v
		}
	}
	return out
}

// commandLine is a list of arguments, without the program's own name.
type commandLine struct {
	args       []string
	from       string
	unexpanded bool     // it is a unit's: $NAME and %i are yet to be expanded
	others     []string // flags of no interest that units often give a variable
}

// parse reads flags as Python's argparse does, as far as the given ones go. An
// abbreviated flag that might mean one of them makes it unknown. In a unit's,
// words that systemd is yet to expand make unknown what they may set.
func (c commandLine) parse(flags []flag) layer {
	out := make(layer)
	anything := func(word string) {
		for _, f := range flags {
			out[f.name] = unread(fmt.Errorf("%s: %s may set it, and only systemd expands that", c.from, word))
		}
	}
	given := func(value string) facts.Value[string] {
		if c.unexpanded && splits(value) {
			anything(value)
		}
		if c.unexpanded && unexpanded(value) {
			return unread(fmt.Errorf("%s: %s, which only systemd expands", c.from, value))
		}
		return known(value, c.from)
	}
	for i := 0; i < len(c.args); i++ {
		arg := c.args[i]
		if arg == "--" {
			break
		}
		if c.unexpanded && mayBeFlags(arg) {
			anything(arg)
			continue
		}
		if c.unexpanded && slices.Contains(c.others, arg) && i+1 < len(c.args) && !splits(c.args[i+1]) {
			i++
			continue
		}
		word, value, inline := strings.Cut(arg, "=")
		for _, f := range flags {
			long := strings.HasPrefix(word, "--")
			switch {
			case f.alone && (word == f.long || word == f.short && f.short != ""):
				out[f.name] = known("true", c.from)
			case word == f.long || word == f.short && f.short != "":
				if !inline {
					if i+1 >= len(c.args) {
						out[f.name] = unread(fmt.Errorf("%s: %s has no value", c.from, word))
						continue
					}
					i++
					value = c.args[i]
				}
				out[f.name] = given(value)
			case !long && !f.alone && f.short != "" && len(arg) > 2 && strings.HasPrefix(arg, f.short):
				out[f.name] = given(strings.TrimPrefix(arg[2:], "="))
			case long && !f.exact && len(word) > 2 && strings.HasPrefix(f.long, word):
				out[f.name] = unread(fmt.Errorf("%s: %s is abbreviated", c.from, word))
			default:
				continue
			}
			break
		}
	}
	return out
}

// variable is a layer of one variable of the environment, where it is set.
func variable(p facts.Program, name, setting string) layer {
	if v, ok := p.Env[name]; ok {
		return layer{setting: v}
	}
	return nil
}

// flagsIn is a layer of a variable that holds flags, where it is set.
func flagsIn(p facts.Program, name string, flags []flag) layer {
	v, ok := p.Env[name]
	switch {
	case !ok:
		return nil
	case !v.Known():
		return every(flags, errors.New(v.Why()))
	}
	words, err := facts.SplitWords(v.V)
	if err != nil {
		return every(flags, fmt.Errorf("%s: %w", v.Source, err))
	}
	return commandLine{args: words, from: v.Source}.parse(flags)
}

// unexpanded tells a word of a unit that holds $NAME, ${NAME} or %i, which only
// systemd expands.
func unexpanded(word string) bool { return firstUnexpanded(word) >= 0 }

// firstUnexpanded is where the first of these stands, "$$" and "%%" left out.
func firstUnexpanded(word string) int {
	return strings.IndexAny(strings.NewReplacer("$$", "", "%%", "").Replace(word), "$%")
}

// splits tells a $NAME, which systemd replaces by as many words as its value has.
func splits(word string) bool {
	return strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "${") && !strings.HasPrefix(word, "$$")
}

// mayBeFlags tells a word of a unit that may come to be any flag.
func mayBeFlags(word string) bool {
	word, _, _ = strings.Cut(word, "=")
	return firstUnexpanded(strings.TrimLeft(word, "-")) == 0 || strings.HasPrefix(word, "--") && unexpanded(word)
}

// variableNames are the variables of the environment that stand for flags:
// "UVICORN_LIMIT_CONCURRENCY".
func variableNames(prefix string, flags []flag) (names []string) {
	for _, f := range flags {
		names = append(names, prefix+strings.ToUpper(f.name))
	}
	return names
}

// variables is a layer of such variables, where they are set and not empty.
func variables(p facts.Program, prefix string, flags []flag) layer {
	out := make(layer)
	for i, name := range variableNames(prefix, flags) {
		if v, ok := p.Env[name]; ok && v != known("", v.Source) {
			out[flags[i].name] = v
		}
	}
	return out
}
