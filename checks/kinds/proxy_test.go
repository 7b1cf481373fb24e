package kinds

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

// proxyHop is a proxy as a command line starts it on a host of files, on the first way
// that it passes requests on by.
func proxyHop(t testing.TB, k *Kind, line string, files map[string]string) (Hop, facts.Details) {
	t.Helper()
	p := facts.Program{PID: 7, Args: strings.Fields(line), From: "/proc/7/cmdline", Cwd: "/srv"}
	if !k.Match(p.Args) {
		t.Fatalf("%s is no %s", line, k.Kind)
	}
	d := k.Read(write(t, files), p)
	h := Hop{Kind: k, Settings: d.Settings, Version: d.Version, Processes: []facts.Process{{PID: 7}}}
	if len(d.Passes.V) > 0 {
		h.Settings = over(d.Settings, d.Passes.V[0].Settings)
	}
	return h, d
}

// passed is where a program passes requests on, as "FROM>TO".
func passed(d facts.Details) string {
	if !d.Passes.Known() {
		return "?"
	}
	var out []string
	for _, p := range d.Passes.V {
		out = append(out, strings.Join(p.From, ",")+">"+p.To)
	}
	return strings.Join(out, " ")
}

// said is a hop's answer in words: "60/120" of a bound, "n/a", "?".
func said(h Hop, q Question) string {
	switch q {
	case Holds:
		return word(h.Holds(), boundText)
	case Connections:
		return word(h.Connections(), boundText)
	case Silence:
		return word(h.Silence(), Short)
	case Keepalive:
		return word(h.Keepalive(), Short)
	case Body:
		return word(h.Body(), countText)
	case Backlog:
		return word(h.Backlog(), countText)
	case Tasks:
		return word(h.Tasks(), countText)
	case Peers:
		return word(h.Peers(), countText)
	case Access:
		return word(h.Access(), func(open bool) string { return map[bool]string{true: "open", false: "shut"}[open] })
	case State:
		return word(h.State(), countText)
	case Restart:
		return word(h.Restart(), func(e Ending) string { return Short(e.Grace) })
	case Descriptors:
		return word(h.Descriptors(), func(f Files) string { return fmt.Sprint(f.Poll) })
	}
	return word(h.Memory(), func(c Cost) string { return countText(c.Most) })
}

func word[T any](a Answer[T], text func(T) string) string {
	switch a.Status {
	case Known:
		return text(a.V)
	case NA:
		return "n/a"
	}
	return "?"
}

func boundText(b Bound) string {
	if b.Safe == b.Hard {
		return countText(b.Safe)
	}
	return countText(b.Safe) + "/" + countText(b.Hard)
}

func countText(n int64) string {
	if n == Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// proxyCase is a config, and what it makes a proxy answer: "holds=6 silence=50s".
type proxyCase struct{ name, config, want string }

func (c proxyCase) check(t *testing.T, h Hop) {
	t.Helper()
	for _, w := range strings.Fields(c.want) {
		q, want, _ := strings.Cut(w, "=")
		if got := strings.ReplaceAll(said(h, Question(q)), " ", "-"); got != want {
			t.Errorf("%s: %s is %s, want %s (%s)", c.name, q, got, want, h.Answers()[Question(q)][1])
		}
	}
}

// Of every kind of proxy, forwarder and balancer each question has an answer or a
// reason, with its settings and without.
func TestProxiesAnswerEveryQuestion(t *testing.T) {
	list := All()
	for _, name := range Balancers() {
		b, err := ParseBalancer(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	for _, k := range list {
		if k.Role == facts.RoleServer {
			continue
		}
		if k.Source == "" {
			t.Errorf("%s names no source", k.Kind)
		}
		for q, a := range (Hop{Kind: k}).Answers() {
			if Status(a[0]) != Known && a[1] == "" {
				t.Errorf("%s: %s is %q and says no reason", k.Kind, q, a[0])
			}
		}
	}
}

// A config that can't be read leaves all that it may set unknown.
func TestUnreadableConfigs(t *testing.T) {
	for _, k := range all {
		if k.Role != facts.RoleProxy || k == Nginx {
			continue
		}
		p := facts.Program{PID: 7, Args: []string{k.Kind, "-f", "/srv/x", "-c", "/srv/x", "--config", "/srv/x", "--configFile=/srv/x"}, From: "/proc/7/cmdline",
			Cwd: "/", FilesErr: errors.New("it is in a container")}
		d := k.Read(write(t, nil), p)
		if d.Passes.Known() {
			t.Errorf("%s: passes %+v", k.Kind, d.Passes)
		}
		h := Hop{Kind: k, Settings: d.Settings}
		if got := said(h, Silence); got != "?" {
			t.Errorf("%s: silence %s", k.Kind, got)
		}
	}
}
