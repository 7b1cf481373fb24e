package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	crossplane "github.com/nginxinc/nginx-go-crossplane"
)

// The tree is built from crossplane's tokens and checked against its tables of
// directives, but not by its Parse. Parse judges a file that is included twice
// in the context of its first include only; it leaves out a statement that it
// objects to, so that an inherited value would be shown as the one in force;
// and it swallows a "}" after a forgotten ";" of a directive that it doesn't
// know, which moves all that follows into the wrong block.

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
	problem := Problem{Source: source, Text: fmt.Sprintf(format, a...), Refused: refused}
	if p.seen == nil {
		p.seen = map[Problem]bool{}
	}
	if !p.seen[problem] {
		p.seen[problem] = true
		p.list = append(p.list, problem)
	}
	return problem.Text + " in " + source
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
	r.parse(n, content)
	return n, nil
}

// parse fills top with the statements of its file. After a syntax error it
// keeps what came before, as nginx would have read it.
func (r *reader) parse(top *node, content []byte) {
	if depth(content) > maxDepth {
		top.broken = r.problems.add(false, top.file+":1", "blocks nested deeper than %d", maxDepth)
		return
	}
	tokens := crossplane.LexWithOptions(bytes.NewReader(content), crossplane.LexOptions{
		Lexers: []crossplane.RegisterLexer{new(crossplane.Lua).RegisterLexer()},
	})
	// The lexer's goroutine ends only when all that it has to say was heard.
	defer func() {
		for range tokens {
		}
	}()

	open := []*node{top}
	fail := func(line int, format string, a ...any) {
		text := r.problems.add(true, top.file+":"+strconv.Itoa(line), format, a...)
		for _, n := range open {
			n.broken = text
		}
	}
	var words []string
	first, last := 0, 1
	for t := range tokens {
		if t.Error != nil {
			var perr *crossplane.ParseError
			if errors.As(t.Error, &perr) && perr.Line != nil {
				t.Line = *perr.Line
				if perr.What == `unexpected end of file, expecting "}"` && len(words) > 0 {
					fail(t.Line, `unexpected end of file, expecting ";" or "}"`)
					return
				}
				fail(t.Line, "%s", perr.What)
			} else {
				fail(t.Line, "%s", t.Error)
			}
			return
		}
		last = t.Line
		switch {
		case !t.IsQuoted && strings.HasPrefix(t.Value, "#"):
		case !t.IsQuoted && (t.Value == ";" || t.Value == "{"):
			if len(words) == 0 {
				fail(t.Line, `unexpected %q`, t.Value)
				return
			}
			n := &node{name: words[0], args: words[1:], file: top.file, line: first, end: t.Line}
			parent := open[len(open)-1]
			parent.block = append(parent.block, n)
			words = nil
			if t.Value == "{" {
				n.isBlock = true
				open = append(open, n)
			}
		case !t.IsQuoted && t.Value == "}":
			if len(words) > 0 || len(open) == 1 {
				fail(t.Line, `unexpected "}"`)
				return
			}
			open = open[:len(open)-1]
		default:
			if len(words) == 0 {
				first = t.Line
			}
			words = append(words, unescape(t.Value))
		}
	}
	switch {
	case len(words) > 0:
		fail(last, `unexpected end of file, expecting ";" or "}"`)
	case len(open) > 1:
		fail(last, `unexpected end of file, expecting "}"`)
	}
}

// depth counts how deep braces nest, comments and quotes disregarded: enough
// to keep a hostile file from exhausting the stack.
func depth(content []byte) int {
	now, most := 0, 0
	for _, c := range content {
		switch c {
		case '{':
			now++
			most = max(most, now)
		case '}':
			now = max(now-1, 0)
		}
	}
	return most
}

// unescape does what nginx does to a word and the lexer leaves undone.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '"', '\'', '\\':
				i++
			case 't':
				b.WriteByte('\t')
				i++
				continue
			case 'r':
				b.WriteByte('\r')
				i++
				continue
			case 'n':
				b.WriteByte('\n')
				i++
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
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
		what := ctx.check(n)
		if what != "" {
			what = r.problems.add(true, n.file+":"+strconv.Itoa(n.end), "%s", what)
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
		if err != nil {
			// A file that only this user may not read says nothing about nginx.
			to.broken = r.problems.add(!unreadable(err), n.source(), "%s", err)
			continue
		}
		r.expand(to, file, ctx, append(within[:len(within):len(within)], name))
	}
}
