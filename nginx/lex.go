package nginx

import (
	"fmt"
	"strings"
)

// mark is what a statement ends with: ';', '{', the '}' of a block, or the end of
// the file.
type mark byte

const endOfFile mark = 0

// statement is one step through a file: words and what they end with. A '}' and the
// end of the file come without words.
type statement struct {
	words []string
	first int // line of the first word
	end   int // line of the mark, which nginx names in errors
	mark  mark
}

// lexer takes a file apart as nginx's ngx_conf_read_token does (core/ngx_conf_file.c),
// byte by byte: words may hold any.
type lexer struct {
	b    []byte
	at   int
	line int
}

// longestWord is nginx's buffer: a longer word is refused, which finds a quote that
// is never closed.
const longestWord = 4096

// lexError is nginx's complaint about the text itself.
type lexError struct {
	line int
	text string
}

func (e *lexError) Error() string { return e.text }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// next reads a statement.
func (l *lexer) next() (statement, *lexError) {
	var s statement
	for {
		l.space()
		if l.at == len(l.b) {
			if len(s.words) > 0 {
				return s, &lexError{l.line, `unexpected end of file, expecting ";" or "}"`}
			}
			return statement{first: l.line, end: l.line}, nil
		}
		switch c := l.b[l.at]; c {
		case ';', '{':
			if len(s.words) == 0 {
				return s, &lexError{l.line, fmt.Sprintf("unexpected %q", string(c))}
			}
			l.at++
			s.mark, s.end = mark(c), l.line
			return s, nil
		case '}':
			if len(s.words) > 0 {
				return s, &lexError{l.line, `unexpected "}"`}
			}
			l.at++
			return statement{first: l.line, end: l.line, mark: '}'}, nil
		}
		if len(s.words) == 0 {
			s.first = l.line
		}
		word, err := l.word()
		if err != nil {
			return s, err
		}
		s.words = append(s.words, word)
		if len(s.words) == 1 && strings.HasSuffix(word, "_by_lua_block") || len(s.words) == 2 && s.words[0] == "set_by_lua_block" {
			if body, ok, err := l.lua(); err != nil {
				return s, err
			} else if ok {
				s.words = append(s.words, body)
				s.mark, s.end = ';', l.line
				return s, nil
			}
		}
	}
}

// space skips what stands between words, comments too.
func (l *lexer) space() {
	for l.at < len(l.b) {
		switch c := l.b[l.at]; {
		case c == '#':
			for l.at < len(l.b) && l.b[l.at] != '\n' {
				l.at++
			}
		case isSpace(c):
			if c == '\n' {
				l.line++
			}
			l.at++
		default:
			return
		}
	}
}

// word reads one that begins here, quoted or not.
func (l *lexer) word() (string, *lexError) {
	quote := l.b[l.at]
	if quote != '"' && quote != '\'' {
		quote = 0
	} else {
		l.at++
	}
	start, line := l.at, l.line
	variable := false
	for ; l.at < len(l.b); l.at++ {
		if l.at-start >= longestWord {
			if quote != 0 {
				return "", &lexError{line, fmt.Sprintf(`too long parameter, probably missing terminating "%c" character`, quote)}
			}
			return "", &lexError{line, fmt.Sprintf("too long parameter %q started", string(l.b[start:start+10])+"...")}
		}
		c := l.b[l.at]
		if c == '\n' {
			l.line++
		}
		if c == '{' && variable {
			continue // "${name}"
		}
		variable = false
		switch {
		case c == '\\' && l.at+1 < len(l.b):
			l.at++
			if l.b[l.at] == '\n' {
				l.line++
			}
		case c == '$':
			variable = true
		case quote != 0 && c == quote:
			s := unescape(string(l.b[start:l.at]))
			l.at++
			return s, l.afterQuote()
		case quote == 0 && (isSpace(c) || c == ';' || c == '{'):
			if c == '\n' {
				l.line-- // space counts it
			}
			return unescape(string(l.b[start:l.at])), nil
		}
	}
	return "", &lexError{l.line, `unexpected end of file, expecting ";" or "}"`}
}

// afterQuote says what nginx says where no space follows a quoted word.
func (l *lexer) afterQuote() *lexError {
	if l.at == len(l.b) {
		return nil
	}
	switch c := l.b[l.at]; {
	case isSpace(c), c == ';', c == '{', c == ')':
		return nil
	default:
		return &lexError{l.line, fmt.Sprintf("unexpected %q", string(c))}
	}
}

// unescape undoes what nginx knows of backslashes and leaves the others.
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
