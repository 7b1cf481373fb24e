package reports

import (
	"strconv"
	"strings"
	"unicode"
)

// Clean makes text from a server, a host or a file harmless to a terminal and to a
// script's comments: one line, and what is not printable shown by its code. All
// that others wrote passes it before it is shown.
func Clean(s string) string {
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case unicode.IsSpace(c):
			b.WriteByte(' ')
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(c), "'"))
		}
	}
	return strings.TrimSpace(b.String())
}
