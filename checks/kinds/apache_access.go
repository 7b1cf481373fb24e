package kinds

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// An apachePlace is a section that says who is let in: a Location, a Proxy, an If. Those
// of directories and files don't count for what is passed on.
type apachePlace struct {
	kind, arg, at  string
	host           *apacheHost
	require        apacheRequire
	order, satisfy string
	allow, deny    []gate // of whom mod_access_compat speaks: open is all
	unsure         bool   // some of it may not count, or is merged with what stands before
}

// An apacheRequire is a Require, or a section of them.
type apacheRequire struct {
	kind  string // "any", "all", "none"; "": a leaf
	words []string
	at    string
	maybe bool
	under []*apacheRequire
}

// An apacheFrame is where a directive stands.
type apacheFrame struct {
	place *apachePlace // nil: nothing there is about what is passed on
	node  *apacheRequire
}

// enter opens a section.
func (a *apache) enter(kind, arg, at string, host *apacheHost) {
	var f apacheFrame
	if n := len(a.open); n > 0 {
		f = a.open[n-1]
	}
	place := func() {
		f.place = &apachePlace{kind: kind, arg: arg, at: at, host: host, require: apacheRequire{kind: "any"}}
		f.node = &f.place.require
		a.places = append(a.places, f.place)
	}
	switch kind {
	case "location", "locationmatch", "proxy", "proxymatch":
		place()
	case "directory", "directorymatch", "files", "filesmatch":
		f = apacheFrame{}
	case "if", "elseif", "else":
		if f.place == nil {
			place()
		}
	case "limit", "limitexcept":
		named := func(m string) bool { return slices.Contains(strings.Fields(strings.ToUpper(arg)), m) }
		if kind == "limit" && !named("GET") && !named("POST") || kind == "limitexcept" && named("GET") && named("POST") {
			f = apacheFrame{}
		}
	case "requireany", "requireall", "requirenone":
		if f.node != nil {
			child := &apacheRequire{kind: strings.TrimPrefix(kind, "require"), at: at}
			f.node.under = append(f.node.under, child)
			f.node = child
		}
	}
	a.open = append(a.open, f)
}

// admit is a directive of who is let in.
func (a *apache) admit(name string, words []string, at string) {
	if len(a.open) == 0 || a.open[len(a.open)-1].place == nil || len(words) < 2 {
		return
	}
	f := a.open[len(a.open)-1]
	p, maybe := f.place, a.maybe > 0
	p.unsure = p.unsure || maybe
	value := strings.ToLower(strings.Join(words[1:], " "))
	switch name {
	case "require":
		f.node.under = append(f.node.under, &apacheRequire{words: words[1:], at: at, maybe: maybe})
	case "order":
		p.order = value
	case "satisfy":
		p.satisfy = value
	case "authmerging":
		p.unsure = p.unsure || value != "off"
	case "allow", "deny":
		g := someOnly(strings.Join(words, " "), at)
		switch from := strings.TrimPrefix(value, "from "); {
		case from == "all" && !maybe:
			g = gate{at: at}
		case name == "deny" && !maybe && !strings.Contains(from, "env="):
			return // of addresses that are nobody's in particular
		}
		if name == "allow" {
			p.allow = append(p.allow, g)
		} else {
			p.deny = append(p.deny, g)
		}
	}
}

// gate is what keeps workers from a way.
func (a *apache) gate(w apacheWay) gate {
	places := slices.DeleteFunc(slices.Clone(a.places), func(p *apachePlace) bool { return p.host != nil && p.host != w.host })
	rank := func(p *apachePlace) int { // in the order that Apache merges them
		n := map[string]int{"proxy": 0, "proxymatch": 0, "location": 2, "locationmatch": 2}
		r, ok := n[p.kind]
		if !ok {
			r = 4
		}
		if p.host != nil {
			r++
		}
		return r
	}
	slices.SortStableFunc(places, func(x, y *apachePlace) int { return rank(x) - rank(y) })
	var all []gate
	for _, q := range facts.WorkerRequests() {
		all = append(all, w.gate(places, q))
	}
	return narrowest(all...)
}

// gate is what keeps one request from the way: the last section that speaks of it
// counts, of Require and of Order, Allow and Deny each.
func (w apacheWay) gate(places []*apachePlace, q facts.WorkerRequest) gate {
	var require, compat gate
	var doubtful []gate
	satisfy, merged := "all", false
	for _, p := range places {
		covers, sure := p.covers(w, q)
		if !covers {
			continue
		}
		sure = sure && !p.unsure
		merged = merged || p.unsure
		if p.satisfy != "" {
			satisfy = p.satisfy
		}
		if len(p.require.under) > 0 {
			if g, _ := p.require.judge(q); sure {
				require = g
			} else {
				doubtful = append(doubtful, g.unsure())
			}
		}
		if g := p.compat(); p.order != "" || len(p.allow)+len(p.deny) > 0 {
			if sure {
				compat = g
			} else {
				doubtful = append(doubtful, g.unsure())
			}
		}
	}
	g := narrowest(require, compat)
	if satisfy == "any" {
		g = widest(require, compat)
	}
	if merged {
		g.maybe = true
	}
	return narrowest(append([]gate{g}, doubtful...)...)
}

// covers says whether a section is about a request on a way, and whether that is sure.
// What workers ask for below the way's path is taken from the protocol.
func (p *apachePlace) covers(w apacheWay, q facts.WorkerRequest) (covers, sure bool) {
	asked := strings.TrimSuffix(w.path, "/") + q.Path
	arg, matches := strings.CutPrefix(p.arg, "~")
	arg = strings.Trim(arg, ` "`)
	subject := asked
	switch p.kind {
	case "locationmatch", "proxymatch":
		matches = true
	case "if", "elseif", "else":
		return true, false
	}
	if strings.HasPrefix(p.kind, "proxy") {
		subject = w.to
		if !strings.HasSuffix(subject, "/") {
			subject += "/"
		}
	}
	switch {
	case strings.Contains(arg, "${"):
		return true, false
	case matches:
		re, err := regexp.Compile(arg)
		return err != nil || re.MatchString(subject), err == nil
	case strings.HasPrefix(p.kind, "proxy"):
		return strings.HasPrefix(subject, strings.TrimRight(arg, "*")), true
	case strings.ContainsAny(arg, "*?["):
		return true, false
	}
	return subject == arg || strings.HasPrefix(subject, strings.TrimSuffix(arg, "/")+"/"), true
}

// judge is what a Require makes of a request; neutral where it lets nobody in and keeps
// out but a few.
func (r *apacheRequire) judge(q facts.WorkerRequest) (g gate, neutral bool) {
	if r.kind == "" {
		g, neutral = r.leaf(q)
		if r.maybe {
			g.maybe = true
		}
		return g, neutral
	}
	var gates []gate
	for _, child := range r.under {
		if g, neutral := child.judge(q); !neutral {
			gates = append(gates, g)
		}
	}
	switch r.kind {
	case "all":
		return narrowest(gates...), len(gates) == 0
	case "none":
		for _, g := range gates {
			if g.open() || g.maybe {
				return gate{"RequireNone", r.at, g.maybe}, false
			}
		}
		return gate{}, true
	}
	return widest(gates...), len(gates) == 0
}

// apachePasswords are what Require asks of somebody who has signed in.
var apachePasswords = []string{"valid-user", "user", "group", "file-owner", "file-group", "ldap-user", "ldap-group", "ldap-dn", "ldap-attribute", "ldap-filter",
	"dbm-group", "dbd-group", "dbm-file-group", "shib-session", "claim"}

// leaf is one Require.
func (r *apacheRequire) leaf(q facts.WorkerRequest) (g gate, neutral bool) {
	text := "Require " + strings.Join(r.words, " ")
	words := make([]string, len(r.words))
	for i, w := range r.words {
		words[i] = strings.ToLower(w)
	}
	not := words[0] == "not" && len(words) > 1
	if not {
		words = words[1:]
	}
	all := len(words) > 1 && words[0] == "all"
	switch {
	case all && (words[1] == "denied") != not:
		return gate{text: text + ": 403", at: r.at}, false
	case all:
		return gate{}, not
	case words[0] == "method":
		if slices.Contains(words[1:], strings.ToLower(q.Method)) != not {
			return gate{}, not
		}
		return gate{text: fmt.Sprintf("%s, and workers use %s: 403", text, q.Method), at: r.at}, false
	case not && slices.Contains([]string{"ip", "host", "forward-dns", "user", "group", "valid-user"}, words[0]):
		return gate{}, true
	case slices.Contains(apachePasswords, words[0]):
		return gate{text: text + " asks for a password, and workers send none: 401", at: r.at}, false
	case words[0] == "ssl-verify-client" && !not:
		return gate{text: text + " asks for a certificate, and workers have none: 403", at: r.at}, false
	case words[0] == "ip" && (slices.Contains(words, "0.0.0.0/0") || slices.Contains(words, "0/0")):
		return gate{}, false
	case slices.Contains([]string{"ip", "host", "forward-dns", "local"}, words[0]) && !not:
		return someOnly(text, r.at), false
	}
	return gate{"Require " + words[0] + ": whether workers have that is not known", r.at, true}, false // its arguments may hold a secret
}

// compat is what Order, Allow and Deny make of a worker of no address in particular.
func (p *apachePlace) compat() gate {
	allowed, denied := gate{}, gate{}
	if len(p.allow) > 0 {
		allowed = widest(p.allow...)
	} else {
		allowed = gate{text: "Order " + p.order + " without Allow: 403", at: p.at}
	}
	if i := slices.IndexFunc(p.deny, gate.open); i >= 0 {
		denied = gate{text: "Deny from all: 403", at: p.deny[i].at}
	} else if len(p.deny) > 0 {
		denied = gate{p.deny[0].text, p.deny[0].at, true}
	}
	if o := strings.ReplaceAll(p.order, " ", ""); o == "allow,deny" || o == "mutual-failure" {
		return narrowest(allowed, denied)
	}
	if denied.open() || len(p.allow) == 0 {
		return denied
	}
	return widest(allowed, denied)
}

// apacheLiteral is what all paths begin with that a way takes: "/fl/" of "^/fl/(.*)$".
func apacheLiteral(from string) string {
	from = strings.TrimLeft(from, `~" ^`)
	if i := strings.IndexAny(from, `.*?[($\|+{`); i >= 0 {
		from = from[:i]
	}
	return path.Clean("/" + from)
}
