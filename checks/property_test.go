package checks

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// facts that can be removed: every Value of the tree, by its path.
func removable(v reflect.Value, path string, visit func(path string, value reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			removable(v.Elem(), path, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			removable(v.Index(i), fmt.Sprintf("%s[%d]", path, i), visit)
		}
	case reflect.Struct:
		if strings.HasPrefix(v.Type().Name(), "Value[") {
			visit(path, v)
			removable(v.FieldByName("V"), path, visit)
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				removable(v.Field(i), path+"."+f.Name, visit)
			}
		}
	}
}

// Removing any single fact never raises the capacity, nor turns a fail into a
// pass or into n/a, nor makes a verdict better.
func TestLessIsNeverMore(t *testing.T) {
	hosts := map[string]change{"tuned": func(*facts.Facts) {}, "no nginx": noNginx, "go": goServer}
	for id, c := range cases {
		hosts[id+" fails"] = c.fail
		if c.pass != nil {
			hosts[id+" passes"] = c.pass
		}
		if c.na != nil {
			hosts[id+" n/a"] = c.na
		}
	}
	hosts["not running"] = func(f *facts.Facts) { without(f, facts.KindGunicorn) }
	hosts["nothing at all"] = func(f *facts.Facts) { without(f, facts.KindGunicorn); f.Service.V = nil }
	hosts["login"] = func(f *facts.Facts) {
		f.Asked.User = "fl"
		f.Login.V = &facts.Login{User: "fl", Limits: facts.Limits{NoFile: facts.Bound{Soft: 900, Hard: 900}}}
	}
	hosts["root's login"] = func(f *facts.Facts) {
		for _, p := range processes(f, facts.KindGunicorn) {
			p.Unit.V, p.User.V = "", "root"
		}
		f.Service.V = nil
		nofile(f, facts.KindGunicorn, 1024, 1024)
	}
	removed := 0
	for name, change := range hosts {
		f := tuned()
		change(&f)
		// nginx's settings are many: they are taken out of what is about nginx.
		about := strings.HasPrefix(name, "nginx/") || strings.HasPrefix(name, "tls/") || strings.HasPrefix(name, "lb/") || name == "tuned"
		base := copied(t, f)
		removed += eachLess(t, name, about, &base, OneHost(f), func() Deployment { return OneHost(base) })

		if about && name != "tuned" {
			continue // a pair's proxy is asked the same
		}
		app, proxy := copied(t, f), copied(t, f)
		pair := Deployment{App: &app, Proxy: &proxy}
		removed += eachLess(t, name+" (app)", false, &app, Deployment{App: &f, Proxy: &proxy}, func() Deployment { return pair })
		removed += eachLess(t, name+" (proxy)", name == "tuned", &proxy, Deployment{App: &app, Proxy: &f}, func() Deployment { return pair })
	}
	if removed < 1000 {
		t.Errorf("only %d facts were removed: the walk is broken", removed)
	}
}

// eachLess removes every fact of f in turn, nginx's settings where they count, from the deployment that with gives,
// and compares with the whole one.
func eachLess(t *testing.T, name string, nginx bool, f *facts.Facts, whole Deployment, with func() Deployment) (removed int) {
	before, capacity := Run(whole, demand, nil, time.Time{})
	verdict, _ := Verdict(before, reports.SeverityError)
	removable(reflect.ValueOf(f), "", func(path string, value reflect.Value) {
		if strings.HasPrefix(path, ".Nginx.") && !nginx {
			return
		}
		removed++
		was := reflect.New(value.Type()).Elem()
		was.Set(value)
		value.SetZero()
		value.FieldByName("Err").SetString("removed")
		after, less := Run(with(), demand, nil, time.Time{})
		now, _ := Verdict(after, reports.SeverityError)
		value.Set(was)

		if less.Workers > capacity.Workers {
			t.Errorf("%s: without %s the capacity rises from %d (%s) to %d (%s)", name, path, capacity.Workers, capacity.Limit, less.Workers, less.Limit)
		}
		if (verdict == reports.VerdictFail || verdict == reports.VerdictRefused) && now == reports.VerdictPass {
			t.Errorf("%s: without %s the verdict goes from %s to %s", name, path, verdict, now)
		}
		for i, b := range before {
			if a := after[i]; bad(b) && (a.Status == reports.StatusPass || a.Status == reports.StatusNA) {
				t.Errorf("%s: without %s %s goes from %s to %s (%s%s)", name, path, b.Check, b.Status, a.Status, a.Got, a.Reason)
			}
		}
	})
	return removed
}
