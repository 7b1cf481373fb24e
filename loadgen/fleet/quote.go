package fleet

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// quoted is a text as YAML takes it, whatever it holds: JSON is YAML.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // of a string, which can't fail
	return strings.TrimSuffix(b.String(), "\n")
}

// plainWord is text that a shell takes as it is.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shellWord is a text as a POSIX shell takes it, whatever it holds.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// text is written line by line: its comments are half of what it says.
type text struct{ strings.Builder }

func (t *text) line(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) }

// comment is above what it is about, at its indent, in lines of 90 columns.
func (t *text) comment(indent int, words string) {
	head := strings.Repeat(" ", indent) + "#"
	line := head
	for _, word := range strings.Fields(words) {
		if len(line)+1+len(word) > 90 && line != head {
			t.line("%s", line)
			line = head
		}
		line += " " + word
	}
	t.line("%s", line)
}

func (t *text) bytes() []byte { return []byte(t.String()) }
