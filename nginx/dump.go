package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// dump is the output of `nginx -T`: every file of a config in one stream.
type dump struct {
	order   []string // the names, main file first
	content map[string][]byte
	refusal []Problem // what nginx itself said before it gave up
}

var (
	dumpHeader = regexp.MustCompile(`^# configuration file (.+):\r?$`)
	// By nginx itself, or by an error_log that goes to the terminal, with its time.
	dumpError = regexp.MustCompile(`^(?:nginx:|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?:emerg|crit|alert)\] (?:\d+#\d+: )?(.*?)(?: in (\S+:\d+))?\r?$`)
)

// errNoDump is for input in which no file begins.
var errNoDump = errors.New(`not the output of "nginx -T": no line "# configuration file …:"`)

func parseDump(r io.Reader) (*dump, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the dump: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("reading the dump: larger than %d MB", maxFile>>20)
	}
	d := &dump{content: map[string][]byte{}}
	name, start := "", 0
	end := func(at int) {
		if name == "" {
			return
		}
		if _, again := d.content[name]; again {
			return // nginx prints a file once; a second is another dump appended
		}
		d.order = append(d.order, name)
		d.content[name] = text[start:at]
	}
	for at := 0; at < len(text); {
		next := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		line := strings.TrimSuffix(string(text[at:next]), "\n")
		if m := dumpHeader.FindStringSubmatch(line); m != nil {
			end(at)
			name, start = m[1], next
		} else if name == "" {
			if m := dumpError.FindStringSubmatch(line); m != nil {
				d.refusal = append(d.refusal, Problem{Source: m[2], Text: m[1], Refused: true})
			}
		}
		at = next
	}
	end(len(text))
	if len(d.order) == 0 && len(d.refusal) == 0 {
		return nil, errNoDump
	}
	return d, nil
}

func (d *dump) read(name string) ([]byte, error) {
	b, ok := d.content[name]
	if !ok {
		return nil, fileError("open", name, syscall.ENOENT)
	}
	return b, nil
}

func (d *dump) glob(pattern string) ([]string, error) {
	var found []string
	for _, name := range d.order {
		if matchGlob(pattern, name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}
