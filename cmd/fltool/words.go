package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// columns is the width of the terminals that output is written for.
const columns = 80

// counted is a number and its noun: "1 line", "2 lines".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// wrap breaks text at spaces into lines of at most 80 columns, the later ones
// indented; a longer word has a line of its own.
func wrap(text string, indent int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Split(text, " ") {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// are is a number, its noun and verb: "1 run is", "2 runs are".
func are(n int, noun string) string {
	if n == 1 {
		return counted(n, noun) + " is"
	}
	return counted(n, noun) + " are"
}

// fitted is text for a person: on a terminal no line of it is wider than that, and
// elsewhere it is one line, for programs that read lines.
func fitted(w io.Writer, text string) string {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return wrap(text, 2)
	}
	return text
}
