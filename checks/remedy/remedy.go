// Package remedy turns findings into drop-in files and a script that writes
// them. It edits no file of a distribution, only ones of its own.
package remedy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/fltool/fltool/reports"
)

// Steps are what a script will do.
type Steps struct {
	Files    []File
	Commands []string          // that make the files take effect and cut nothing
	Later    []string          // for the operator to do when polls may be cut
	Manual   []reports.Finding // what no file fixes
}

// File is a drop-in as it will be.
type File struct {
	Path string
	Old  string // "" where there is none
	New  string
}

// line is one setting of a file and the findings that it fixes.
type line struct {
	key, text string
	fixes     []string
}

// Make plans the remedies of findings that fail or warn; those of severity info
// are left alone. own is the files that an earlier plan left, by path: what they
// set stays unless a finding changes it. What is not of the forms that a plan has
// is left to do by hand.
func Make(findings []reports.Finding, own map[string]string) Steps {
	var p Steps
	files := make(map[string]*content)
	for _, f := range findings {
		if f.Status != reports.StatusFail && f.Status != reports.StatusWarn || f.Severity == reports.SeverityInfo {
			continue
		}
		if why := refused(f.Remedy, own); why != "" {
			f.Remedy = reports.Remedy{Text: why}
		}
		switch {
		case len(f.Remedy.Files) == 0:
			p.Manual = append(p.Manual, f)
		case f.Remedy.Hand != "":
			half := f
			half.Remedy = reports.Remedy{Text: f.Remedy.Hand}
			p.Manual = append(p.Manual, half)
		}
		for _, want := range f.Remedy.Files {
			c := files[want.Path]
			if c == nil {
				c = parse(own[want.Path])
				files[want.Path] = c
			}
			if want.Section != "" {
				c.section = want.Section
			}
			for _, text := range want.Lines {
				c.set(text, f.Check+": "+f.Title)
			}
		}
		for _, cmd := range f.Remedy.Commands {
			switch {
			case len(f.Remedy.Files) == 0:
			case strings.HasPrefix(cmd, "systemctl restart "):
				p.Later = add(p.Later, cmd)
			default:
				p.Commands = add(p.Commands, cmd)
			}
		}
		if len(f.Remedy.Files) > 0 && f.Remedy.Then != "" && !slices.ContainsFunc(f.Remedy.Commands, func(c string) bool { return strings.HasPrefix(c, "systemctl restart ") }) {
			p.Later = add(p.Later, map[string]string{
				"login":   "# log in anew, and start the application from there",
				"restart": "# restart the application",
				"reload":  "# reload the application",
				"reboot":  "# reboot",
			}[f.Remedy.Then])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		p.Files = append(p.Files, File{Path: path, Old: own[path], New: files[path].String()})
	}
	return p
}

func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// content is a drop-in file taken apart.
type content struct {
	section string
	lines   []line
}

const header = "# Written by fltool fix."

// parse reads a file that String wrote. Other comments are not kept.
func parse(text string) *content {
	c := new(content)
	var fixes []string
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(reports.Clean(l))
		switch {
		case l == "" || l == header:
		case strings.HasPrefix(l, "# "):
			fixes = append(fixes, strings.TrimPrefix(l, "# "))
		case strings.HasPrefix(l, "[") && strings.HasSuffix(l, "]"):
			c.section = l[1 : len(l)-1]
		default:
			for _, m := range fixes {
				c.set(l, m)
			}
			if len(fixes) == 0 {
				c.set(l, "")
			}
			fixes = nil
		}
	}
	return c
}

// set adds a setting or replaces the one of its key. Flags of gunicorn share a
// variable and are merged.
func (c *content) set(text, fixes string) {
	key := keyOf(text)
	i := slices.IndexFunc(c.lines, func(l line) bool { return l.key == key })
	if i < 0 {
		c.lines = append(c.lines, line{key: key, text: text})
		i = len(c.lines) - 1
	} else if key == gunicornKey {
		c.lines[i].text = mergeFlags(c.lines[i].text, text)
	} else {
		if c.lines[i].text != text {
			c.lines[i].fixes = nil
		}
		c.lines[i].text = text
	}
	c.lines[i].fixes = add(c.lines[i].fixes, fixes)
}

func (c *content) String() string {
	var b strings.Builder
	b.WriteString(header + "\n")
	if c.section != "" {
		fmt.Fprintf(&b, "[%s]\n", c.section)
	}
	for _, l := range c.lines {
		for _, m := range l.fixes {
			fmt.Fprintf(&b, "# %s\n", m)
		}
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

const gunicornKey = `Environment="GUNICORN_CMD_ARGS`

// keyOf is what names a setting: of "user soft nofile 1" the first three words,
// of "a = b" what is before "=".
func keyOf(text string) string {
	if strings.HasPrefix(text, gunicornKey+"=") {
		return gunicornKey
	}
	if k, _, ok := strings.Cut(text, "="); ok {
		return strings.TrimSpace(k)
	}
	f := strings.Fields(text)
	return strings.Join(f[:min(len(f), 3)], " ")
}

// mergeFlags joins two settings of GUNICORN_CMD_ARGS; of one flag the second
// value counts. Flags are written as "--name value" by the checks.
func mergeFlags(a, b string) string {
	var names []string
	value := make(map[string]string)
	for _, s := range []string{a, b} {
		s = strings.TrimSuffix(strings.TrimPrefix(s, gunicornKey+"="), `"`)
		name := ""
		for _, w := range strings.Fields(s) {
			if strings.HasPrefix(w, "-") {
				name = w
				names = add(names, name)
				value[name] = ""
				continue
			}
			value[name] = w
		}
	}
	var out []string
	for _, n := range names {
		out = append(out, strings.TrimSpace(n+" "+value[n]))
	}
	return gunicornKey + "=" + strings.Join(out, " ") + `"`
}

// Diff is the file changes as a unified diff; "" where nothing changes.
func (p Steps) Diff() string {
	var b strings.Builder
	for _, f := range p.Files {
		old := "a" + f.Path
		if f.Old == "" {
			old = "/dev/null"
		}
		d := diff.Diff(old, cleanLines(f.Old), "b"+f.Path, cleanLines(f.New))
		_, d2, ok := strings.Cut(string(d), "\n") // without its "diff A B" line
		if ok {
			b.WriteString(d2)
		}
	}
	return b.String()
}

// cleanLines is a text for a terminal.
func cleanLines(text string) []byte {
	var b []byte
	for l := range strings.Lines(text) {
		b = append(append(b, reports.Clean(l)...), '\n')
	}
	return b
}
