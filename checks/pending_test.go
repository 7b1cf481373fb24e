package checks

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// A unit that was edited while its server runs is told of where the next start is for
// the worse, and by nothing that only the next start can tell.
func TestNextStart(t *testing.T) {
	starts := func(kind, connections string) change {
		return func(f *facts.Facts) {
			f.Service.V.Kind = kind
			f.Service.V.Settings = facts.Settings{"worker_connections": {V: connections, Source: "/etc/systemd/system/fl.service.d/x.conf:2"}, "timeout": no[string]()}
		}
	}
	const pass, warn = reports.StatusPass, reports.StatusFail
	for _, tt := range []struct {
		name   string
		change change
		want   reports.Status
		tells  string
	}{
		{"the same", starts(gunicorn, "4096"), pass, ""},
		{"another setting", starts(gunicorn, "100"), warn, "worker_connections 4096 in gunicorn 10"},
		{"another server", starts("waitress", "4096"), warn, "waitress, which ExecStart would start"},
		{"what it would start is not known", starts("", "100"), pass, ""},
		{"less memory", func(f *facts.Facts) { f.Service.V.MemoryMax = is(facts.Limit(1 << 20)) }, warn, "MemoryMax=4294967296"},
		{"more memory, of which a slice may give less", func(f *facts.Facts) { f.Service.V.MemoryMax = is(facts.Limit(8 << 30)) }, pass, ""},
		{"fewer tasks", func(f *facts.Facts) { f.Service.V.TasksMax = is(facts.Limit(10)) }, warn, "TasksMax=4096"},
		{"tasks by a share", func(f *facts.Facts) { f.Service.V.TasksMax = no[facts.Limit]() }, pass, ""},
		{"no limit of memory", func(f *facts.Facts) { f.Service.V.MemoryMax = is(facts.Unlimited) }, pass, ""},
		{"a container", func(f *facts.Facts) { starts("waitress", "")(f); f.Service.V.Container = "podman" }, pass, ""},
		{"a process of another unit", func(f *facts.Facts) {
			starts("waitress", "")(f)
			for _, p := range processes(f, gunicorn) {
				p.Unit = is("other.service")
			}
		}, pass, ""},
	} {
		f := tuned()
		tt.change(&f)
		o := askOne(t, "app/unit-pending", f)
		if o.Status != tt.want || !strings.Contains(o.Got+o.Want+o.Remedy.Text, tt.tells) {
			t.Errorf("%s: %+v, want %s", tt.name, o, tt.want)
		}
	}
}
