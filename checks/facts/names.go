package facts

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

var (
	// unitName is what systemd takes for a service's name (systemd.unit(5)), but for
	// one that a program would take for a flag: it may stand in paths and, within
	// quotes, in scripts.
	unitName = regexp.MustCompile(`^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*\.service$`)
	// userName is what useradd(8) takes, and names of directory services.
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*\$?$`)
)

// checkNames refuses facts whose names are none: they come to stand in paths and
// in scripts.
func (f Facts) checkNames() error {
	type named struct {
		what, name string
		form       *regexp.Regexp
	}
	all := []named{
		{"asked.service", f.Asked.Service, unitName},
		{"asked.user", f.Asked.User, userName},
	}
	for i, p := range f.Processes.V {
		at := fmt.Sprintf("processes[%d]", i)
		all = append(all, named{at + ".unit", p.Unit.V, unitName}, named{at + ".user", p.User.V, userName})
	}
	for what, u := range map[string]*Unit{"service": f.Service.V, "nginxUnit": f.NginxUnit.V} {
		if u != nil {
			all = append(all, named{what + ".name", u.Name, unitName})
		}
	}
	for _, n := range all {
		if n.name != "" && !n.form.MatchString(n.name) {
			return fmt.Errorf("%s: %q is no name", n.what, n.name)
		}
	}
	for file := range f.Own.V {
		unit := strings.TrimSuffix(path.Base(path.Dir(file)), ".d")
		if path.Base(file) != OwnName || path.Clean(file) != file || !path.IsAbs(file) ||
			path.Dir(path.Dir(file)) == "/etc/systemd/system" && !unitName.MatchString(unit) {
			return fmt.Errorf("own: %q is no file of fltool's", file)
		}
	}
	return nil
}
