package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The tree is checked against crossplane's tables of directives and not built by
// its Parse. Parse judges a file that is included twice in the context of its first
// include only; it leaves out a statement that it objects to, so that an inherited
// value would be shown as the one in force; and its lexer differs from nginx in
// Lua, in quotes and in braces within words.

// node is one statement with its includes replaced by what they hold.
type node struct {
	name string
	args []string
	file string
	line int // of the first word
	end  int // of the ";" or "{", which is the line that nginx names in errors

	isBlock bool
	block   []*node
	// broken says why the block may hold more than is known: a file that
	// could not be read, a syntax error.
	broken string
	// wrong says why nginx would refuse the statement itself, in its context.
	wrong string
}

func (n *node) source() string { return n.file + ":" + strconv.Itoa(n.line) }

// text is the statement on one line, without a block.
func (n *node) text() string { return strings.Join(append([]string{n.name}, n.args...), " ") }

const (
	maxDepth      = 200 // nested blocks and includes
	maxStatements = 2 << 20
	maxIncludes   = 1 << 16 // of files; those that include each other end here
)

// reader turns files into one tree.
type reader struct {
	files    files
	build    Build
	partial  bool // as Reading.Partial
	absent   []Line
	dir      string // in which relative includes start, with a trailing slash
	seen     map[string]*node
	names    []string // of the files read, in order
	count    int      // of statements
	included int      // files
	problems problems
}

// problems keeps each problem once, in the order found.
type problems struct {
	list []Problem
	seen map[Problem]bool
}

func (p *problems) add(refused bool, source, format string, a ...any) string {
	return p.put(Problem{Source: source, Text: fmt.Sprintf(format, a...), Refused: refused})
}

// hint is add of what nginx refuses, with a hint of fltool's own.
func (p *problems) hint(hint, source, format string, a ...any) string {
	return p.put(Problem{Source: source, Text: fmt.Sprintf(format, a...), Refused: true, Hint: hint})
}

func (p *problems) put(problem Problem) string {
	if p.seen == nil {
		p.seen = map[Problem]bool{}
	}
	if !p.seen[problem] {
		p.seen[problem] = true
		p.list = append(p.list, problem)
	}
	return problem.Text + " in " + problem.Source
}

// file reads and parses a file, once. The result is a block that stands for it.
func (r *reader) file(name string) (*node, error) {
	if n, ok := r.seen[name]; ok {
		return n, nil
	}
	content, err := r.files.read(name)
	if err != nil {
		return nil, err
	}
	n := &node{file: name, isBlock: true}
	r.seen[name] = n
	r.names = append(r.names, name)
	// Other bytes would not survive being saved as JSON.
	r.parse(n, bytes.ToValidUTF8(content, []byte("\uFFFD")))
	return n, nil
}

// parse fills top with the statements of its file. After a syntax error it
// keeps what came before, as nginx would have read it.
func (r *reader) parse(top *node, content []byte) {
	l := &lexer{b: content, line: 1}
	open := []*node{top}
	fail := func(refused bool, line int, format string, a ...any) {
		text := r.problems.add(refused, top.file+":"+strconv.Itoa(line), format, a...)
		for _, n := range open {
			n.broken = text
		}
	}
	for {
		s, err := l.next()
		if err != nil {
			fail(true, err.line, "%s", err.text)
			return
		}
		switch s.mark {
		case endOfFile:
			if len(open) > 1 {
				line, why := missingBrace(content, open[len(open)-1], top.file, s.end)
				text := r.problems.hint(why, top.file+":"+strconv.Itoa(line), `unexpected end of file, expecting "}"`)
				for _, n := range open {
					n.broken = text
				}
			}
			return
		case '}':
			if len(open) == 1 {
				fail(true, s.end, `unexpected "}"`)
				return
			}
			open = open[:len(open)-1]
			continue
		}
		n := &node{name: s.words[0], args: s.words[1:], file: top.file, line: s.first, end: s.end}
		parent := open[len(open)-1]
		parent.block = append(parent.block, n)
		if s.mark == '{' {
			n.isBlock = true
			open = append(open, n)
			if len(open) > maxDepth {
				fail(false, s.end, "blocks nested deeper than %d", maxDepth)
				return
			}
		}
	}
}

// expand copies from's statements into to with includes replaced, and checks
// each in its context. within names the files being included.
func (r *reader) expand(to, from *node, ctx place, within []string) {
	if from.broken != "" {
		to.broken = from.broken
	}
	for _, n := range from.block {
		if r.count++; r.count > maxStatements {
			to.broken = r.problems.add(false, n.source(), "more than %d statements", maxStatements)
			return
		}
		if n.name == "include" && !n.isBlock && len(n.args) == 1 {
			r.include(to, n, ctx, within)
			continue
		}
		if n.name == "load_module" && len(n.args) == 1 && !stockModule(n.args[0]) {
			r.build.Added = append(r.build.Added[:len(r.build.Added):len(r.build.Added)], n.args[0])
		}
		what, hint := ctx.check(n, r.build), ""
		if strings.HasPrefix(what, "unknown directive") {
			hint = r.build.elsewhere(n.name)
		}
		if what == "" && placeBits[ctx] != 0 && onceOnly(n.name) && slices.ContainsFunc(to.block, func(o *node) bool { return o.name == n.name }) {
			what = fmt.Sprintf("%q directive is duplicate", n.name)
		}
		if what != "" {
			what = r.problems.hint(hint, n.file+":"+strconv.Itoa(n.end), "%s", what)
		} else if !n.isBlock {
			to.block = append(to.block, n)
			continue
		}
		inner := *n // its file may be included in other contexts as well
		inner.block, inner.wrong = nil, what
		to.block = append(to.block, &inner)
		r.expand(&inner, n, ctx.enter(n.name), within)
	}
}

func (r *reader) include(to, n *node, ctx place, within []string) {
	pattern := n.args[0]
	if !strings.HasPrefix(pattern, "/") {
		pattern = r.dir + pattern
	}
	names := []string{pattern}
	if hasMagic(pattern) {
		var err error
		if names, err = r.files.glob(pattern); err != nil {
			to.broken = r.problems.add(false, n.source(), "%s", err)
			return
		}
	}
	for _, name := range names {
		if r.included++; r.included > maxIncludes {
			to.broken = r.problems.add(false, n.source(), "more than %d files: includes that include each other?", maxIncludes)
			return
		}
		if slices.Contains(within, name) || len(within) > maxDepth {
			to.broken = r.problems.add(true, n.source(), "%q includes itself", name)
			continue
		}
		file, err := r.file(name)
		if r.partial && strings.HasPrefix(n.args[0], "/") && errors.Is(err, os.ErrNotExist) {
			r.absent = append(r.absent, Line{Text: name, Source: n.source()})
			if ctx == "main" { // it may load modules
				r.build.Added = append(r.build.Added[:len(r.build.Added):len(r.build.Added)], name)
			}
			continue
		}
		if err != nil {
			// A file that only this user may not read says nothing about nginx.
			to.broken = r.problems.add(!unreadable(err), n.source(), "%s", err)
			if ctx == "main" { // it may load modules
				r.build.Added = append(r.build.Added[:len(r.build.Added):len(r.build.Added)], name)
			}
			continue
		}
		r.expand(to, file, ctx, append(within[:len(within):len(within)], name))
	}
}
