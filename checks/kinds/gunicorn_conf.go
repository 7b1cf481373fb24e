package kinds

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	assignment = regexp.MustCompile(`^([a-z_]+)\s*=([^=].*)$`)
	literal    = regexp.MustCompile(`^(?:([0-9_]+)|"([^"\\]*)"|'([^'\\]*)')$`)
	arithmetic = regexp.MustCompile(`^([0-9_]+(?:\s*[*+]\s*[0-9_]+)+)$`)
	computed   = regexp.MustCompile(`\b(exec|execfile|eval|globals|locals|vars|setattr|__dict__|import\s+\*|from\s+\S+\s+import)(\b|$)`)
	settings   = regexp.MustCompile(`\b(` + func() string {
		names := make([]string, len(gunicornFlags))
		for i, f := range gunicornFlags {
			names[i] = f.name
		}
		return strings.Join(names, "|")
	}() + `)\b`)
)

// parseGunicornConfig reads a Python file for the settings that are plain
// literals at its top level, or sums and products of such. A setting that is named
// in any other place where it could be set is unknown, and so is every setting once
// the file does what could set any.
func parseGunicornConfig(text, file string) layer {
	out := make(layer)
	for _, s := range pythonStatements(text) {
		source := fmt.Sprintf("%s:%d", file, s.line)
		if computed.MatchString(s.code) {
			out = every(gunicornFlags, errors.New(source+": may set it, and Python is not run"))
			continue
		}
		where := s.code
		if m := assignment.FindStringSubmatch(s.text); m != nil && !s.nested {
			value := strings.TrimSpace(m[2])
			where = ""
			if strings.Contains(s.code, ":=") || strings.Count(s.code, "=") > 1 {
				where = s.code
			} else if slices.ContainsFunc(gunicornFlags, func(f flag) bool { return f.name == m[1] }) {
				if v := literal.FindStringSubmatch(value); v != nil {
					out[m[1]] = known(v[1]+v[2]+v[3], source)
					continue
				}
				if v := arithmetic.FindStringSubmatch(value); v != nil {
					if n, err := sum(v[1]); err == nil {
						out[m[1]] = known(strconv.FormatInt(n, 10), source)
						continue
					}
				}
				where = m[1]
			}
		}
		for _, name := range append(settings.FindAllString(where, -1), s.texts...) {
			if settings.FindString(name) == name {
				out[name] = unread(errors.New(source + ": is computed, and Python is not run"))
			}
		}
	}
	return out
}

// pythonStatement is a simple statement, or the head of a compound one.
type pythonStatement struct {
	line   int
	text   string   // without comments
	code   string   // the same with texts left empty
	texts  []string // what its texts hold
	nested bool     // it is indented, or stands behind another on its line
}

// pythonStatements splits a file as Python does: lines go on in brackets, in texts
// and behind a backslash.
func pythonStatements(text string) (out []pythonStatement) {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	var whole, code strings.Builder
	var s pythonStatement
	line, depth := 1, 0
	s.line = line
	end := func(nested bool) {
		s.text, s.code = whole.String(), code.String()
		s.nested = s.nested || strings.HasPrefix(s.text, " ") || strings.HasPrefix(s.text, "\t")
		if strings.TrimSpace(s.code) != "" {
			out = append(out, s)
		}
		whole.Reset()
		code.Reset()
		s = pythonStatement{line: line, nested: nested}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			continue
		case c == '"' || c == '\'':
			n := pythonText(text[i:])
			lit := text[i : i+n]
			mark := 1
			if strings.HasPrefix(lit, strings.Repeat(lit[:1], 3)) {
				mark = 3
			}
			if n >= 2*mark {
				s.texts = append(s.texts, lit[mark:n-mark])
			}
			whole.WriteString(lit)
			code.WriteString(`""`)
			line += strings.Count(lit, "\n")
			i += n
			continue
		case c == '\\' && i+1 < len(text) && text[i+1] == '\n':
			whole.WriteByte(' ')
			code.WriteByte(' ')
			line++
			i++
		case c == '\n':
			line++
			if depth == 0 {
				end(false)
				break
			}
			whole.WriteByte(' ')
			code.WriteByte(' ')
		case c == ';' && depth == 0:
			end(true)
		default:
			if strings.IndexByte("([{", c) >= 0 {
				depth++
			}
			if strings.IndexByte(")]}", c) >= 0 {
				depth = max(0, depth-1)
			}
			whole.WriteByte(c)
			code.WriteByte(c)
		}
		i++
	}
	end(false)
	return out
}

// pythonText is how long the text is that s begins with.
func pythonText(s string) int {
	mark := s[:1]
	if strings.HasPrefix(s, strings.Repeat(mark, 3)) {
		mark = s[:3]
	}
	for i := len(mark); i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], mark):
			return i + len(mark)
		case s[i] == '\n' && len(mark) == 1:
			return i // not closed: Python refuses it
		}
	}
	return len(s)
}

// sum works out "1000 * 4 + 64".
func sum(s string) (total int64, err error) {
	for term := range strings.SplitSeq(s, "+") {
		product := int64(1)
		for factor := range strings.SplitSeq(term, "*") {
			n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(factor), "_", ""), 10, 32)
			if err != nil {
				return 0, err
			}
			if product *= n; product > 1<<31 {
				return 0, strconv.ErrRange
			}
		}
		total += product
	}
	return total, nil
}
