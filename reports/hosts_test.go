package reports

import (
	"slices"
	"strings"
	"testing"
)

// holding is a host whose one limit supports n workers; below none it is unknown.
func holding(name, role string, n int, findings ...Finding) Host {
	h := Host{Name: name, File: name + ".json", Role: role, Verdict: VerdictPass, Findings: findings}
	h.Capacity = &Capacity{Workers: n, Limit: "app/nofile", Ledger: []Row{{Limit: "app/nofile", Workers: &n}}}
	if n < 0 {
		h.Capacity = &Capacity{Limit: "app/nofile", Ledger: []Row{{Limit: "app/nofile"}}}
		h.Verdict = VerdictRefused
	}
	return h
}

func TestSumRoles(t *testing.T) {
	unread := Host{File: "broken.json", Role: "app", Verdict: VerdictRefused}
	for _, c := range []struct {
		name                string
		hosts               []Host
		workers, withoutOne int
		unknown             int
	}{
		{"the role that holds less counts", []Host{holding("a", "app", 500, Finding{}), holding("b", "app", 300), holding("p", "proxy", 4000), holding("q", "proxy", 400)}, 800, 300, 0},
		{"what is not known counts for nothing", []Host{holding("a", "app", 500), holding("b", "app", -1), unread, holding("p", "proxy", 4000), holding("q", "proxy", 4000)}, 500, 0, 2},
		{"one alone is missed most", []Host{holding("a", "app", 500), holding("b", "app", 500), holding("p", "proxy", 4000)}, 1000, 0, 0},
	} {
		sums := SumRoles(c.hosts)
		workers, withoutOne := Together(sums)
		unknown := 0
		for _, s := range sums {
			unknown += s.Unknown
		}
		if workers != c.workers || withoutOne != c.withoutOne || unknown != c.unknown {
			t.Errorf("%s: %d workers, %d without one, %d unknown; want %d, %d, %d", c.name, workers, withoutOne, unknown, c.workers, c.withoutOne, c.unknown)
		}
	}
	if sums := SumRoles([]Host{holding("a", "", 1)}); sums != nil {
		t.Errorf("hosts without a role have sums: %v", sums)
	}
}

func TestJudgeHosts(t *testing.T) {
	failed := holding("f", "", 1)
	failed.Verdict = VerdictFail
	warned := holding("w", "", 1)
	warned.Verdict = VerdictWarn
	unread := Host{File: "broken.json", Verdict: VerdictRefused, Reasons: []string{"ends in the middle"}}
	for _, c := range []struct {
		name  string
		hosts []Host
		asked int
		want  Verdict
		says  string
	}{
		{"all well", []Host{holding("a", "", 5)}, 1, VerdictPass, ""},
		{"one warns", []Host{holding("a", "", 5), warned}, 1, VerdictWarn, ""},
		{"one fails", []Host{holding("a", "", 5), failed, warned}, 1, VerdictFail, "1 of 3 hosts fail: f"},
		{"what fails outweighs what is unknown", []Host{failed, holding("u", "", -1)}, 1, VerdictFail, "1 of 2 hosts can't be told: u"},
		{"one is unknown", []Host{holding("a", "", 5), holding("u", "", -1)}, 1, VerdictRefused, "can't be told: u"},
		{"a broken file outweighs all", []Host{failed, unread}, 1, VerdictRefused, "broken.json: ends in the middle"},
		{"a role holds too few", []Host{holding("a", "app", 5), holding("b", "app", 5), holding("p", "proxy", 50), holding("q", "proxy", 50)}, 11, VerdictFail, "role app hold 10 workers together, and 11"},
		{"a role holds too few without one", []Host{holding("a", "app", 5), holding("b", "app", 5), holding("p", "proxy", 50), holding("q", "proxy", 50)}, 10, VerdictWarn, "any one host of role app gone"},
		{"enough without any one", []Host{holding("a", "app", 5), holding("b", "app", 5), holding("p", "proxy", 50), holding("q", "proxy", 50)}, 5, VerdictPass, ""},
	} {
		got, reasons := JudgeHosts(c.hosts, SumRoles(c.hosts), c.asked)
		if got != c.want || !strings.Contains(strings.Join(reasons, "; "), c.says) {
			t.Errorf("%s: %s %q, want %s with %q", c.name, got, reasons, c.want, c.says)
		}
	}
}

func TestGroupFindings(t *testing.T) {
	bad := func(fix string) Finding {
		return Finding{Check: "app/nofile", Status: StatusFail, Got: "1024", Remedy: Remedy{Text: fix}}
	}
	groups := GroupFindings([]Host{
		holding("a", "", 1, bad("raise it"), Finding{Check: "app/found", Status: StatusPass}),
		holding("b", "", 1, bad("raise it elsewhere"), Finding{Check: "app/limits-conf", Status: StatusWarn, Because: "app/nofile"}),
		holding("c", "", 1, bad("raise it")),
		holding("d", "", 1, Finding{Check: "app/nofile", Status: StatusUnknown, Reason: "hidden"}),
		holding("e", "", 1, Finding{Check: "proxy/holds", Hop: "haproxy 1", Status: StatusFail}, Finding{Check: "proxy/holds", Hop: "haproxy 2", Status: StatusFail}),
	})
	if len(groups) != 3 {
		t.Fatalf("%d groups, want 3: %+v", len(groups), groups)
	}
	g := groups[0]
	if g.Check != "app/nofile" || g.Status != StatusFail || g.Hosts != 3 || len(g.Ways) != 2 || !slices.Equal(g.Ways[0].Hosts, []string{"a", "c"}) || !g.Ways[0].Alike {
		t.Errorf("the group of most hosts is %+v", g)
	}
	if !slices.Equal(g.Explains, []string{"app/limits-conf"}) {
		t.Errorf("it explains %v", g.Explains)
	}
	for _, g := range groups {
		if g.Check == "proxy/holds" && g.Hosts != 1 {
			t.Errorf("two hops of one host count as %d hosts", g.Hosts)
		}
	}
}
