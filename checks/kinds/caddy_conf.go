package kinds

import (
	"fmt"
	"strings"
)

// A caddyLine is a directive of a Caddyfile and the block after it.
type caddyLine struct {
	words []string
	at    string // "/etc/caddy/Caddyfile:12"
	block []caddyLine
}

// parseCaddyfile reads a Caddyfile: lines of words, blocks in braces. Imports of
// snippets are put in their place; those of files are an error, as is what can't be
// read.
func parseCaddyfile(text, file string) ([]caddyLine, error) {
	var stack [][]caddyLine
	var level []caddyLine
	n := 0
	for raw := range strings.Lines(text) {
		n++
		at := fmt.Sprintf("%s:%d", file, n)
		if strings.Contains(raw, "<<") {
			return nil, fmt.Errorf("%s: a heredoc is not read", at)
		}
		words, err := caddyWords(strings.TrimSpace(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		switch {
		case len(words) == 0:
		case len(words) == 1 && words[0] == "}":
			if len(stack) == 0 {
				return nil, fmt.Errorf("%s: } closes nothing", at)
			}
			parent := stack[len(stack)-1]
			parent[len(parent)-1].block = level
			level, stack = parent, stack[:len(stack)-1]
		case words[len(words)-1] == "{":
			level = append(level, caddyLine{words: words[:len(words)-1], at: at})
			stack, level = append(stack, level), nil
		case strings.HasSuffix(words[len(words)-1], "{"), strings.HasSuffix(words[len(words)-1], "}") && !strings.Contains(words[len(words)-1], "{"):
			return nil, fmt.Errorf("%s: a brace must stand alone", at)
		default:
			level = append(level, caddyLine{words: words, at: at})
		}
	}
	if len(stack) > 0 {
		return nil, fmt.Errorf("%s: a block is not closed", file)
	}
	snippets := make(map[string][]caddyLine)
	for _, l := range level {
		if len(l.words) == 1 && strings.HasPrefix(l.words[0], "(") {
			snippets[strings.Trim(l.words[0], "()")] = l.block
		}
	}
	return imported(level, snippets, 0)
}

// imported puts snippets in the place of import.
func imported(lines []caddyLine, snippets map[string][]caddyLine, depth int) (out []caddyLine, err error) {
	if depth > maxSnippets {
		return nil, fmt.Errorf("snippets import each other")
	}
	for _, l := range lines {
		if len(l.words) == 2 && l.words[0] == "import" && snippets[l.words[1]] != nil {
			in, err := imported(snippets[l.words[1]], snippets, depth+1)
			if err != nil {
				return nil, err
			}
			if out = append(out, in...); len(out) > maxCaddyLines {
				return nil, fmt.Errorf("snippets make more than %d lines", maxCaddyLines)
			}
			continue
		}
		if len(l.words) > 0 && l.words[0] == "import" {
			return nil, fmt.Errorf("%s: what it imports is not read", l.at)
		}
		if l.block, err = imported(l.block, snippets, depth+1); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// Bounds of what snippets make.
const (
	maxSnippets   = 32
	maxCaddyLines = 10000
)

// caddyWords splits a line; quotes and backticks hold blanks, # begins a comment.
func caddyWords(line string) (out []string, err error) {
	for line != "" {
		switch q := line[0]; {
		case q == '#':
			return out, nil
		case q == '"' || q == '`':
			word, rest, ok := strings.Cut(line[1:], string(q))
			if !ok {
				return nil, fmt.Errorf("a quote is not closed on its line")
			}
			out, line = append(out, word), strings.TrimLeft(rest, " \t")
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		out, line = append(out, line[:end]), strings.TrimLeft(line[end:], " \t")
	}
	return out, nil
}
