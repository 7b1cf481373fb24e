package checks

import (
	"strings"

	"github.com/fltool/fltool/checks/symptoms"
)

// Symptoms is the manual's page of the lines that logs show, in Markdown.
func Symptoms() string {
	var b strings.Builder
	b.WriteString("# From a line in a log to its cause\n\n")
	paragraph(&b, "`fltool explain --log FILE` looks for these lines and tells what stands here. Each line tells of one symptom. Where several causes are named, the line alone can't tell which it was; the likeliest stands first.")
	source := ""
	for _, s := range symptoms.All() {
		if s.Source != source {
			source = s.Source
			b.WriteString("## " + source + "\n\n")
		}
		b.WriteString("### " + s.Title + "\n\n")
		for _, l := range s.Literals {
			b.WriteString("    " + l + "\n")
		}
		b.WriteByte('\n')
		for _, c := range s.Causes {
			text := c.Text
			var links []string
			for _, id := range c.Checks {
				links = append(links, "["+id+"](checks/"+strings.ReplaceAll(id, "/", "-")+".md)")
			}
			if len(links) > 0 {
				text += " (" + strings.Join(links, ", ") + ")"
			}
			bullet(&b, text+".")
		}
		b.WriteByte('\n')
		paragraph(&b, "Do: "+s.Do+".")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
