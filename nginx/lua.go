package nginx

import "bytes"

// lua reads the block of Lua that follows, braces not included: a brace counts where
// it stands in no string and no comment. ok is false where no block follows.
func (l *lexer) lua() (body string, ok bool, err *lexError) {
	l.space()
	if l.at == len(l.b) || l.b[l.at] != '{' {
		return "", false, nil
	}
	line := l.line
	l.at++
	start := l.at
	for depth := 1; l.at < len(l.b); {
		rest := l.b[l.at:]
		n := 1
		switch c := rest[0]; {
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				body = string(l.b[start:l.at])
				l.at++
				return body, true, nil
			}
		case c == '"' || c == '\'':
			n = luaString(rest)
		case c == '[':
			if long := luaLong(rest); long > 0 {
				n = long
			}
		case bytes.HasPrefix(rest, []byte("--")):
			if n = luaLong(rest[2:]); n > 0 {
				n += 2
			} else if n = bytes.IndexByte(rest, '\n'); n < 0 {
				n = len(rest)
			}
		}
		l.line += bytes.Count(rest[:n], []byte("\n"))
		l.at += n
	}
	return "", false, &lexError{line, "Lua code block missing the closing curly bracket \"}\""}
}

// luaString is the length of the string that begins here; of one that its line does
// not close only the quote's.
func luaString(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case b[0]:
			return i + 1
		case '\n':
			return 1
		}
	}
	return 1
}

// luaLong is the length of "[[…]]" or "[==[…]==]" that begins here; 0: none does.
func luaLong(b []byte) int {
	if len(b) == 0 || b[0] != '[' {
		return 0
	}
	level := 1
	for level < len(b) && b[level] == '=' {
		level++
	}
	if level == len(b) || b[level] != '[' {
		return 0
	}
	end := append(append([]byte{']'}, b[1:level]...), ']')
	if i := bytes.Index(b[level+1:], end); i >= 0 {
		return level + 1 + i + len(end)
	}
	return 0
}
