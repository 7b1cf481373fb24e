package remedy

import (
	"fmt"
	"strings"
)

const scriptHead = `#!/bin/sh
# %s
# Read it, then run it as root; running it twice does no harm. A file that it
# replaces is kept beside the new one. FLTOOL_ROOT=DIR writes below DIR instead
# and starts nothing.
set -eu
`

const scriptEnd = `
if [ -n "$failed" ]; then
	echo "a command failed, see above: its change counts from the next boot or restart" >&2
	exit 1
fi
`

const scriptPut = `
# put FILE: makes FILE hold standard input, unless it does so already.
put() {
	file=$root$1
	mkdir -p "$(dirname "$file")"
	cat >"$file.new"
	if cmp -s "$file.new" "$file"; then
		rm -f "$file.new"
		echo "unchanged $file"
		return
	fi
	if [ -e "$file" ]; then
		cp -p "$file" "$file.$(date +%Y%m%dT%H%M%S).bak"
	fi
	chmod 644 "$file.new"
	mv "$file.new" "$file"
	echo "wrote $file"
}
`

// Script is the plan as a shell script. title says what it is for.
func (p Plan) Script(title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, scriptHead, oneLine(title))
	if len(p.Files)+len(p.Commands) > 0 {
		b.WriteString("root=${FLTOOL_ROOT:-}\n")
	}
	if len(p.Files) > 0 {
		b.WriteString(scriptPut)
	}
	for _, f := range p.Files {
		fmt.Fprintf(&b, "\nput %s <<'EOF'\n%sEOF\n", quote(f.Path), f.New)
	}
	if len(p.Commands) > 0 {
		b.WriteString("\nfailed=\nif [ -z \"$root\" ]; then\n")
		for _, c := range p.Commands {
			fmt.Fprintf(&b, "\t%s || failed=1\n", c)
		}
		b.WriteString("fi\n")
	}
	if len(p.Later) > 0 {
		b.WriteString("\n# Not done here, since it cuts polls that are held:\ncat <<'EOF'\nTo take effect, when polls may be cut:\n")
		for _, l := range p.Later {
			fmt.Fprintf(&b, "  %s\n", strings.TrimPrefix(l, "# "))
		}
		b.WriteString("EOF\n")
	}
	if len(p.Commands) > 0 {
		b.WriteString(scriptEnd)
	}
	if len(p.Manual) > 0 {
		b.WriteString("\n# Not mended by this script:\n")
		for _, f := range p.Manual {
			fmt.Fprintf(&b, "# %s: %s\n", f.Check, oneLine(f.Remedy.Text))
		}
	}
	return b.String()
}

// oneLine keeps a text within a comment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// quote makes a word of a path for the shell.
func quote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
