package main

import (
	"errors"
	"io"
	"regexp"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// syntaxLine is the line that the YAML library names: that of what was begun, or the one
// before, or none.
var syntaxLine = regexp.MustCompile(`^yaml: (?:line \d+: )?`)

// noYAML is the error of a plan that is no YAML, with the place.
func (p plan) noYAML(data []byte, err error) error {
	at := placeOf(data, syntaxEnd(data))
	return usageError("", "%s:%d:%d: no YAML: %s", p.file, at.line, at.column, syntaxLine.ReplaceAllString(err.Error(), ""))
}

// byByte gives one byte at a time, so that what was given is what was needed.
type byByte struct {
	data  []byte
	given int
}

func (b *byByte) Read(p []byte) (int, error) {
	if b.given == len(b.data) {
		return 0, io.EOF
	}
	b.given += copy(p[:1], b.data[b.given:])
	return 1, nil
}

// readYAML says whether data are YAML, and how much of them was read until that was known.
func readYAML(data []byte) (good bool, read int) {
	src := &byByte{data: data}
	for dec := yaml.NewDecoder(src); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF), src.given
		}
	}
}

// mostSyntax bounds what is read again and again to find a place, in bytes.
const mostSyntax = 8 << 20

// syntaxEnd is where data cease to be YAML: behind the longest part from the start that is.
// Of something that is never closed that is where it was opened. Where that takes too long
// to find it is how far they were read.
func syntaxEnd(data []byte) int {
	_, end := readYAML(data)
	for i, left := end, mostSyntax; i >= 0 && left > 0; i-- {
		if inWord(data, i) {
			continue
		}
		left -= i + 1
		if good, _ := readYAML(data[:i]); good {
			for i > 0 && data[i-1] == '\t' { // which indents nothing
				i--
			}
			return i
		}
	}
	return end
}

// inWord says whether a place is within a word or a character, where no error begins.
func inWord(data []byte, i int) bool {
	letter := func(b byte) bool { return b < utf8.RuneSelf && (unicode.IsLetter(rune(b)) || unicode.IsDigit(rune(b))) }
	return i > 0 && i < len(data) && (letter(data[i-1]) && letter(data[i]) || !utf8.RuneStart(data[i]))
}

// placeOf is the place of a byte.
func placeOf(data []byte, i int) place {
	at := place{1, 1}
	for _, c := range string(data[:min(i, len(data))]) {
		if at.column++; c == '\n' {
			at.line, at.column = at.line+1, 1
		}
	}
	return at
}
