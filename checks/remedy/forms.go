package remedy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// What a script may hold. Findings are made of facts, and those are the word of an
// image, of a saved file or of another user; the script is run by root. So it holds
// these forms and nothing else.
const (
	userForm = `[A-Za-z0-9_][A-Za-z0-9_.-]*\$?`                // useradd(8)
	unitForm = `[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*\.service` // systemd.unit(5)
	flagForm = `--(worker-(class|connections)|workers|threads|backlog|timeout|graceful-timeout|keep-alive) [A-Za-z0-9]+`
)

// places are the files of a plan: what their sections and lines may be.
var places = []struct{ path, section, line *regexp.Regexp }{
	{whole(`/etc/security/limits\.d/zz-fltool\.conf`), whole(``), whole(userForm + ` (soft|hard) nofile [0-9]+`)},
	{whole(`/etc/sysctl\.d/zz-fltool\.conf`), whole(``), whole(`[a-z0-9_]+(\.[A-Za-z0-9_-]+)+ ?= ?[0-9][0-9 ,-]*`)},
	{
		whole(`/etc/systemd/system/` + unitForm + `\.d/zz-fltool\.conf`), whole(`Service`),
		whole(`(LimitNOFILE|TasksMax)=[0-9]+|Environment="GUNICORN_CMD_ARGS=` + flagForm + `( ` + flagForm + `)*"`),
	},
}

var commandForm = whole(`systemctl daemon-reload|systemctl restart (` + unitForm + `|'` + unitForm + `')|sysctl -p /etc/sysctl\.d/zz-fltool\.conf`)

func whole(form string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + form + `)$`) }

// refused says why no script may carry a remedy out; "" where one may.
func refused(r reports.Remedy, own map[string]string) string {
	for _, f := range r.Files {
		i := slices.IndexFunc(places, func(p struct{ path, section, line *regexp.Regexp }) bool { return p.path.MatchString(f.Path) })
		if i < 0 {
			return fmt.Sprintf("fix writes no file of the name %q: %s", f.Path, r.Text)
		}
		for _, l := range f.Lines {
			if !places[i].line.MatchString(l) {
				return fmt.Sprintf("fix writes no line %q into %s: %s", l, f.Path, r.Text)
			}
		}
		was := parse(own[f.Path])
		foreign := was.section != "" && !places[i].section.MatchString(was.section) || !places[i].section.MatchString(f.Section)
		for _, l := range was.lines {
			foreign = foreign || !places[i].line.MatchString(l.text)
		}
		if foreign {
			return f.Path + " holds what fix did not write: move that to a file of another name"
		}
	}
	for _, c := range r.Commands {
		if len(r.Files) > 0 && !commandForm.MatchString(c) {
			return fmt.Sprintf("fix runs no command %q: %s", strings.TrimSpace(c), r.Text)
		}
	}
	return ""
}
