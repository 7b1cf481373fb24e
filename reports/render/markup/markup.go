// Package markup writes HTML as fmt.Fprintf writes text, but escapes all that is put
// in. A template would look its methods up by name, and have the linker keep every
// method of everything: a seventh of the binary.
package markup

import (
	"fmt"
	"html"
	"strings"
)

// HTML is a part of a page whose texts are escaped.
type HTML string

// Page is one that is being written. The zero value is empty.
type Page struct{ b strings.Builder }

// Put appends a format, which is HTML, and in it the arguments: numbers as they are,
// HTML as it is, anything else escaped, fit for text between tags and for attributes
// in double quotes. It is not fit for scripts, styles or addresses of links.
func (p *Page) Put(format string, args ...any) {
	safe := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case HTML:
			safe[i] = string(a)
		case int, float64:
			safe[i] = a
		default:
			safe[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	fmt.Fprintf(&p.b, format, safe...)
}

// HTML is what was put so far.
func (p *Page) HTML() HTML { return HTML(p.b.String()) }
