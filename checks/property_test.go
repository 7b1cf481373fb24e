package checks

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// removable visits every Value of the tree, with its path. Who changes one calls
// changed, since what a map holds is a copy.
func removable(v reflect.Value, path string, changed func(), visit func(path string, value reflect.Value, changed func())) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			removable(v.Elem(), path, changed, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			removable(v.Index(i), fmt.Sprintf("%s[%d]", path, i), changed, visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			at := reflect.New(v.Type().Elem()).Elem()
			at.Set(v.MapIndex(key))
			removable(at, fmt.Sprintf("%s[%v]", path, key), func() { v.SetMapIndex(key, at); changed() }, visit)
		}
	case reflect.Struct:
		if strings.HasPrefix(v.Type().Name(), "Value[") {
			visit(path, v, changed)
			removable(v.FieldByName("V"), path, changed, visit)
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				removable(v.Field(i), path+"."+f.Name, changed, visit)
			}
		}
	}
}

// oneIn says how many facts of each host but the tuned one are removed: a third, and
// each fact from another third of the hosts. All of them take three times as long.
var oneIn = flag.Uint("one-in", 3, "how many facts TestLessIsNeverMore removes: one in so many")

// Removing any single fact never makes a check's answer better: what it supports
// does not rise, and what fails or is unknown neither passes nor is n/a. So
// neither the capacity, which is the least of the answers, rises by it nor the
// verdict.
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
	hosts["not running"] = func(f *facts.Facts) { without(f, gunicorn) }
	hosts["not running, unit starts Python"] = func(f *facts.Facts) { without(f, gunicorn); f.Service.V.Scripted = true }
	hosts["nothing at all"] = func(f *facts.Facts) { without(f, gunicorn); f.Service.V = nil }
	hosts["threads"] = func(f *facts.Facts) { set(f, "worker_class", "gthread"); set(f, "threads", "3000") }
	hosts["login"] = func(f *facts.Facts) {
		f.Asked.User = "fl"
		f.Login.V = &facts.Login{User: "fl", Limits: facts.Limits{NoFile: facts.Bound{Soft: 900, Hard: 900}}}
	}
	hosts["root's login"] = func(f *facts.Facts) {
		for _, p := range processes(f, gunicorn) {
			p.Unit.V, p.User.V = "", "root"
		}
		f.Service.V = nil
		nofile(f, gunicorn, 1024, 1024)
	}
	hosts["nginx/ does not run"] = func(f *facts.Facts) { without(f, facts.KindNginx) }
	hosts["nginx/ with another default server"] = edit("listen 80 default_server;", "listen 80 default_server; listen 443 ssl default_server; client_header_timeout 1s; ssl_protocols TLSv1;")
	hosts["nginx/ to another host"] = func(f *facts.Facts) {
		edit("server 127.0.0.1:5000", "server 10.0.0.9:5000")(f)
		f.Ports.V.Lo = 60000
	}
	hosts["nginx/ behind a balancer"] = func(f *facts.Facts) {
		edit("client_max_body_size 32m;", "client_max_body_size 32m; set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;")(f)
		f.Asked.Balancers = []string{"aws-alb"}
	}
	for _, k := range kinds.All() {
		for _, command := range k.Commands {
			if k.Role == facts.RoleServer && k != kinds.Gunicorn {
				hosts["kind/"+command] = func(f *facts.Facts) { serveBy(f, k, command) }
			}
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // half the time went into it
	var one, app, proxy atomic.Int64                   // facts removed
	seen := make(map[string]bool)                      // some changes change nothing, or the same
	t.Run("hosts", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(hosts)) {
			f := tuned()
			hosts[name](&f)
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if seen[string(text)] && name != "tuned" {
				continue
			}
			seen[string(text)] = true
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// nginx's settings are many: they are taken out of what is about nginx.
				about := strings.HasPrefix(name, "nginx/") || strings.HasPrefix(name, "tls/") || strings.HasPrefix(name, "lb/") || name == "tuned"
				base := copied(t, f)
				one.Add(eachLess(t, name, about, &base, func() Deployment { return Deployment{App: &base, Proxy: &base, Outside: &base} }))
				if about && name != "tuned" || strings.HasPrefix(name, "kind/") {
					return // a pair is asked the same
				}
				first, second := copied(t, f), copied(t, f)
				pair := Deployment{App: &first, Proxy: &second}
				app.Add(eachLess(t, name+" (app)", false, &first, func() Deployment { return pair }))
				proxy.Add(eachLess(t, name+" (proxy)", name == "tuned", &second, func() Deployment { return pair }))
			})
		}
	})
	for _, n := range []int64{one.Load(), app.Load(), proxy.Load()} {
		if n < 5000 {
			t.Errorf("only %d facts were removed: the walk is broken", n)
		}
	}
}

// serveBy has a server of another kind in the place of gunicorn, as its command line
// would have it.
func serveBy(f *facts.Facts, k *kinds.Kind, command string) {
	var s facts.Settings
	if k.Read != nil {
		s = k.Read(facts.NewRoot("/nonexistent"), facts.Program{Args: strings.Fields(command), From: "cmdline", Cwd: "/"}).Settings
	}
	for _, p := range processes(f, gunicorn) {
		p.Kind, p.Settings = k.Kind, s
	}
	f.Service.V.Kind, f.Service.V.Settings = k.Kind, s
}

// eachLess removes every fact of f in turn, nginx's settings where they count,
// from the deployment that with gives, and compares with the whole one.
func eachLess(t *testing.T, name string, nginx bool, f *facts.Facts, with func() Deployment) (removed int64) {
	before := outcomes(with())
	removable(reflect.ValueOf(f), "", func() {}, func(path string, value reflect.Value, changed func()) {
		switch {
		case !strings.HasPrefix(name, "tuned") && crc32.ChecksumIEEE([]byte(name+path))%uint32(*oneIn) != 0:
			return
		case strings.HasPrefix(name, "kind/") && !strings.HasPrefix(path, ".Processes"):
			return
		case strings.HasPrefix(path, ".Nginx.V.") && !nginx:
			return
		case nginx && name != "tuned" && name != "tuned (proxy)" && !strings.HasPrefix(path, ".Nginx") && !strings.HasPrefix(path, ".Processes") && !strings.HasPrefix(path, ".Sysctls"):
			return
		}
		removed++
		was := reflect.New(value.Type()).Elem()
		was.Set(value)
		value.SetZero()
		changed()
		for i, a := range outcomes(with()) {
			if what := better(before[i].Judgement, a.Judgement); what != "" {
				t.Errorf("%s: without %s %s %s (%s%s)", name, path, a.check, what, a.Got, a.Reason)
			}
		}
		value.Set(was)
		changed()
	})
	return removed
}

// answered is the answer of a check.
type answered struct {
	Judgement
	check string
}

// outcomes asks every check of a deployment.
func outcomes(d Deployment) []answered {
	out := make([]answered, 0, 2*len(all))
	cases := make(map[On][]Case) // facts are large, and copied once for each kind
	for _, check := range all {
		if _, ok := cases[check.On]; !ok {
			cases[check.On] = check.cases(d, demand)
		}
		for i := range cases[check.On] {
			out = append(out, answered{check.Eval(cases[check.On][i]), check.ID})
		}
	}
	return out
}

// better says in which way b promises more than a; "" where it does not.
func better(a, b Judgement) string {
	fine := func(o Judgement) bool { return o.Status == reports.StatusPass || o.Status == reports.StatusNA }
	switch {
	case !fine(a) && fine(b):
		return fmt.Sprintf("goes from %s to %s", a.Status, b.Status)
	case a.Capacity == nil || b.Status == reports.StatusUnknown:
		return ""
	case b.Capacity == nil:
		return fmt.Sprintf("limits nothing any more, and limited to %d", a.Capacity.Safe)
	case b.Capacity.Safe > a.Capacity.Safe:
		return fmt.Sprintf("rises from %d to %d", a.Capacity.Safe, b.Capacity.Safe)
	}
	return ""
}

// TestBetter has what would be a false promise found.
func TestBetter(t *testing.T) {
	supports := func(s reports.Status, n int) Judgement {
		return Judgement{Status: s, Capacity: &Capacity{Safe: n, Hard: n}}
	}
	unknown, na, pass := unknownFor("x"), notApplicable("x"), Judgement{Status: reports.StatusPass}
	failed := Judgement{Status: reports.StatusFail}
	for _, tt := range []struct {
		a, b Judgement
		want bool
	}{
		{failed, pass, true}, {failed, na, true}, {failed, unknown, false}, {failed, failed, false},
		{unknown, pass, true}, {unknown, na, true}, {unknown, failed, false},
		{pass, failed, false}, {pass, unknown, false}, {na, failed, false},
		{supports(reports.StatusPass, 5), supports(reports.StatusPass, 6), true},
		{supports(reports.StatusPass, 5), supports(reports.StatusFail, 4), false},
		{supports(reports.StatusPass, 5), na, true}, {supports(reports.StatusPass, 5), pass, true},
		{supports(reports.StatusPass, 5), unknown, false},
	} {
		if got := better(tt.a, tt.b); (got != "") != tt.want {
			t.Errorf("from %+v to %+v: %q", tt.a, tt.b, got)
		}
	}
}
