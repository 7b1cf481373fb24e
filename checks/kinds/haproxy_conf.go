package kinds

import (
	"fmt"
	"slices"
	"strings"
)

// A haproxySection is a section of haproxy.cfg.
type haproxySection struct {
	kind, name string // "frontend", "fl"
	at         string // "/etc/haproxy/haproxy.cfg:9"
	lines      []haproxyLine
	under      *haproxySection // the defaults in force; nil: none
}

// A haproxyLine is one line of it.
type haproxyLine struct {
	words []string
	at    string // "/etc/haproxy/haproxy.cfg:12"
	maybe bool   // it stands between .if and .endif
}

// haproxySections are the words that begin a section, of HAProxy 3.2 and before.
var haproxySections = []string{"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers",
	"program", "http-errors", "ring", "cache", "log-forward", "fcgi-app", "crt-store", "log-profile", "traces", "acme"}

// haproxyConfig is what all of its files say, in their order.
type haproxyConfig struct {
	sections []*haproxySection
}

// add parses a further file: defaults reach from one into the next.
func (c *haproxyConfig) add(text, file string) error {
	var section *haproxySection
	ifs, n := 0, 0
	for line := range strings.Lines(text) {
		n++
		at := fmt.Sprintf("%s:%d", file, n)
		words, err := haproxyWords(strings.TrimRight(line, "\r\n"))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", at, err)
		case len(words) == 0:
		case words[0] == ".if":
			ifs++
		case words[0] == ".endif":
			ifs--
		case strings.HasPrefix(words[0], "."): // .else, .notice
		case slices.Contains(haproxySections, words[0]):
			if ifs > 0 {
				return fmt.Errorf("%s: a section under .if", at)
			}
			section = c.begin(words)
			section.at = at
		case section == nil:
			return fmt.Errorf("%s: %s stands in no section", at, words[0])
		default:
			section.lines = append(section.lines, haproxyLine{words, at, ifs > 0})
		}
	}
	return nil
}

// begin opens a section: its defaults are those named after from, else the last
// that stand before it.
func (c *haproxyConfig) begin(words []string) *haproxySection {
	s := &haproxySection{kind: words[0]}
	rest := words[1:]
	if len(rest) > 0 && rest[0] != "from" {
		s.name, rest = rest[0], rest[1:]
	}
	if i := slices.Index(rest, "from"); i >= 0 && i+1 < len(rest) {
		s.under = c.section(rest[i+1], "defaults")
	} else if slices.Contains([]string{"frontend", "backend", "listen"}, s.kind) {
		for _, d := range c.sections {
			if d.kind == "defaults" {
				s.under = d
			}
		}
	}
	c.sections = append(c.sections, s)
	return s
}

// section finds one by name.
func (c *haproxyConfig) section(name string, kinds ...string) *haproxySection {
	for _, s := range c.sections {
		if s.name == name && slices.Contains(kinds, s.kind) {
			return s
		}
	}
	return nil
}

// last is the line that counts of those that begin with these words: the last one of
// the section, else that of its defaults.
func (s *haproxySection) last(words ...string) (haproxyLine, bool) {
	for depth := 0; s != nil && depth < maxDefaults; s, depth = s.under, depth+1 {
		for _, l := range slices.Backward(s.lines) {
			if len(l.words) >= len(words) && slices.Equal(l.words[:len(words)], words) {
				return l, true
			}
		}
	}
	return haproxyLine{}, false
}

// maxDefaults bounds how many defaults lead to each other.
const maxDefaults = 32

// all are the section's own lines of a word.
func (s *haproxySection) all(word string) (list []haproxyLine) {
	for _, l := range s.lines {
		if l.words[0] == word {
			list = append(list, l)
		}
	}
	return list
}

// haproxyWords splits a line as HAProxy does: quotes, backslashes, comments. A
// variable of the environment stays as it is written.
func haproxyWords(line string) ([]string, error) {
	var out []string
	var word strings.Builder
	in, quote := false, byte(0)
	end := func() {
		if in {
			out = append(out, word.String())
		}
		word.Reset()
		in = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'':
			word.WriteByte(c)
		case c == '\\' && i+1 < len(line):
			i++
			in = true
			word.WriteByte(line[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == '#':
			end()
			return out, nil
		case c == ' ' || c == '\t':
			end()
		default:
			in = true
			word.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote is not closed")
	}
	end()
	return out, nil
}
