package nginx

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// expression is a regular expression of PCRE's as far as Go can try it.
type expression struct {
	exact *regexp.Regexp // nil: Go can't compile it
	// loose is the expression without its look-around, which only ever
	// narrows: what it does not match, the expression does not match either.
	loose *regexp.Regexp
	err   error
}

// expressions keeps them between requests: a config is asked about often.
var expressions sync.Map // string → expression

// matches searches s. What can't be told is an error, not a miss.
func matches(flags, text, s string) (bool, error) {
	key := flags + text
	v, ok := expressions.Load(key)
	if !ok {
		var e expression
		if e.exact, e.err = regexp.Compile(key); e.err != nil {
			if loose, err := regexp.Compile(flags + loosen(text)); err == nil {
				e.loose = loose
			}
		}
		v, _ = expressions.LoadOrStore(key, e)
	}
	switch e := v.(expression); {
	case e.exact != nil:
		return e.exact.MatchString(s), nil
	case e.loose != nil && !e.loose.MatchString(s):
		return false, nil
	default:
		return false, fmt.Errorf("expression %q can't be tried on %q: %w", text, s, e.err)
	}
}

// loosen replaces look-ahead and look-behind by nothing and atomic groups by
// plain ones.
func loosen(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "(?>"):
			b.WriteString("(?:")
			i += len("(?>")
		case strings.HasPrefix(rest, "(?="), strings.HasPrefix(rest, "(?!"), strings.HasPrefix(rest, "(?<="), strings.HasPrefix(rest, "(?<!"):
			b.WriteString("(?:)")
			for depth := 0; i < len(text); {
				n := atom(text[i:])
				switch text[i : i+n] {
				case "(":
					depth++
				case ")":
					depth--
				}
				if i += n; depth == 0 {
					break
				}
			}
		default:
			n := atom(rest)
			b.WriteString(rest[:n])
			i += n
		}
	}
	return b.String()
}

// atom is the length of what stands first: an escape, a class or a byte.
func atom(s string) int {
	switch {
	case s[0] == '\\' && len(s) > 1:
		return 2
	case s[0] == '[':
		// A "]" right after the bracket is one of the class.
		i := 1
		if i < len(s) && s[i] == '^' {
			i++
		}
		if i < len(s) && s[i] == ']' {
			i++
		}
		for i < len(s) && s[i] != ']' {
			if s[i] == '\\' {
				i++
			}
			i++
		}
		return min(i+1, len(s))
	}
	return 1
}
