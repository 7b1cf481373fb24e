package nginx

import (
	"fmt"
	"strings"
)

// missingBrace guesses by indentation which block of a file that ends too early
// lacks its "}", and the line before which that belongs. nginx itself names the
// file's last line, where nothing is wrong.
func missingBrace(content []byte, open *node, file string, last int) (line int, why string) {
	lines := strings.Split(string(content), "\n")
	indent := func(line int) int {
		text := lines[line-1]
		return len(strings.ReplaceAll(text[:len(text)-len(strings.TrimLeft(text, " \t"))], "\t", "        "))
	}
	type block struct {
		statement
		indents bool // what stands in it is indented
	}
	var stack []block
	l := &lexer{b: content, line: 1}
	for {
		s, err := l.next()
		if err != nil || s.mark == endOfFile {
			break
		}
		starts := s.first <= len(lines) && strings.HasPrefix(strings.TrimLeft(lines[s.first-1], " \t"), firstWord(s))
		n := len(stack)
		if starts && n > 0 && s.mark != '}' && stack[n-1].end < s.first && indent(s.first) > indent(stack[n-1].first) {
			stack[n-1].indents = true
		}
		switch {
		case s.mark == '{':
			// A block that begins left of, or right at, one that is still open
			// on an earlier line ended that one in its writer's mind.
			if starts && n > 0 && stack[n-1].indents && indent(s.first) <= indent(stack[n-1].first) {
				return s.first, belongs(stack[n-1].statement, file)
			}
			stack = append(stack, block{statement: s})
		case s.mark == '}' && n > 0:
			top := stack[n-1]
			if starts && top.end < s.first && indent(s.first) < indent(top.first) {
				return s.first, belongs(top.statement, file)
			}
			stack = stack[:n-1]
		}
	}
	return last, fmt.Sprintf("%s of %s is never closed", open.name, open.source())
}

func belongs(s statement, file string) string {
	return fmt.Sprintf(`%s of %s:%d is not closed before this line`, strings.Join(s.words, " "), file, s.first)
}

// firstWord is how a statement's text begins.
func firstWord(s statement) string {
	if len(s.words) == 0 {
		return "}"
	}
	return s.words[0]
}
