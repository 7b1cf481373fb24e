package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
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
# refuse NAME WHY: what is not as it should be is left to a person.
refuse() {
	if [ -n "$new" ]; then rm -f "$new"; fi
	printf '%s: %s\n' "$1" "$2" >&2
	exit 1
}

# put FILE: makes FILE hold standard input, unless it does so already. It goes
# through no link: one might lead out of FLTOOL_ROOT.
put() {
	new=
	dir=$root
	rest=${1#/}
	while [ "$rest" != "${rest#*/}" ]; do
		dir=$dir/${rest%%/*}
		rest=${rest#*/}
		if [ -L "$dir" ]; then refuse "$dir" "is a link, and this script follows none"; fi
		if [ ! -d "$dir" ]; then mkdir "$dir"; fi
	done
	file=$dir/$rest
	if [ -L "$file" ]; then refuse "$file" "is a link, and this script follows none"; fi
	if [ -e "$file" ] && [ ! -f "$file" ]; then refuse "$file" "is no regular file"; fi
	new=$(mktemp "$dir/.fltool.XXXXXX")
	cat >"$new"
	if cmp -s "$new" "$file"; then
		rm -f "$new"
		printf 'unchanged %s\n' "$file"
		return
	fi
	if [ -e "$file" ]; then
		old=$file.$(date +%Y%m%dT%H%M%S).bak
		if [ -e "$old" ] || [ -L "$old" ]; then refuse "$old" "is there already"; fi
		cp -p "$file" "$old"
	fi
	chmod 644 "$new"
	mv "$new" "$file"
	printf 'wrote %s\n' "$file"
}
`

// Script is the plan as a shell script. title says what it is for.
func (p Steps) Script(title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, scriptHead, oneLine(title))
	if len(p.Files)+len(p.Commands) > 0 {
		b.WriteString("root=${FLTOOL_ROOT:-}\n")
	}
	if len(p.Files) > 0 {
		b.WriteString(scriptPut)
	}
	for _, f := range p.Files {
		fmt.Fprintf(&b, "\nput %s %s", quote(f.Path), hereDoc(f.New))
	}
	if len(p.Commands) > 0 {
		b.WriteString("\nfailed=\nif [ -z \"$root\" ]; then\n")
		for _, c := range p.Commands {
			fmt.Fprintf(&b, "\t%s || failed=1\n", c)
		}
		b.WriteString("fi\n")
	}
	if len(p.Later) > 0 {
		text := "To take effect, when polls may be cut:\n"
		for _, l := range p.Later {
			text += "  " + strings.TrimPrefix(l, "# ") + "\n"
		}
		b.WriteString("\n# Not done here, since it cuts polls that are held:\ncat " + hereDoc(text))
	}
	if len(p.Commands) > 0 {
		b.WriteString(scriptEnd)
	}
	if len(p.Manual) > 0 {
		b.WriteString("\n# Not fixed by this script:\n")
		for _, f := range p.Manual {
			fmt.Fprintf(&b, "# %s: %s\n", f.Check, oneLine(f.Remedy.Text))
		}
	}
	return b.String()
}

// hereDoc is a text of whole lines for a command's standard input. Its delimiter is
// none of the lines, so that the text can't end itself.
func hereDoc(text string) string {
	end := "EOF"
	for slices.Contains(strings.Split(text, "\n"), end) {
		end += "F"
	}
	return fmt.Sprintf("<<'%s'\n%s%s\n", end, text, end)
}

// oneLine keeps a text within a comment.
func oneLine(s string) string { return strings.Join(strings.Fields(reports.Clean(s)), " ") }

// quote makes a word of a path for the shell.
func quote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
