package kinds

import (
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// haproxyRefusals are the actions that keep a request from the server, by the word of
// their rule.
var haproxyRefusals = map[string][]string{
	"http-request": {"deny", "tarpit", "auth", "reject", "silent-drop", "return"},
	"tcp-request":  {"reject", "silent-drop"},
}

// A chance is how often a condition holds for workers.
type chance int

const (
	never   chance = iota
	rarely         // for addresses or paths that are not workers' as far as is known
	perhaps        // it hangs on what can't be read here
	surely
)

// not is the chance of the contrary.
func (c chance) not() chance {
	switch c {
	case never:
		return surely
	case surely:
		return never
	}
	return perhaps
}

// haproxyGate is what keeps workers from a way: the rules of its frontend, then those of
// its backend.
func haproxyGate(front, back *haproxySection) gate {
	var all []gate
	for _, q := range facts.WorkerRequests() {
		all = append(all, front.gate(q, front))
		if back != front {
			all = append(all, back.gate(q, front))
		}
	}
	return narrowest(all...)
}

// rules are the section's own, after those of its defaults.
func (s *haproxySection) rules(word string) []haproxyLine {
	if s.under == nil {
		return s.all(word)
	}
	return slices.Concat(s.under.all(word), s.all(word))
}

// gate is what the section's rules make of a request.
func (s *haproxySection) gate(q facts.WorkerRequest, front *haproxySection) gate {
	out := gate{}
	for _, word := range []string{"tcp-request", "http-request"} {
		if mode := s.setting("mode"); word == "http-request" && mode.Known() && mode.V != "http" {
			continue
		}
		ended := map[string]bool{}  // by what is asked of: connection, session, content
		passed := map[string]bool{} // some may have been let through before
		for _, l := range s.rules(word) {
			of, words := "", l.words[1:]
			if word == "tcp-request" && len(words) > 0 {
				of, words = words[0], words[1:]
			}
			if len(words) == 0 || ended[of] {
				continue
			}
			action, _, _ := strings.Cut(words[0], "(")
			refuses := slices.Contains(haproxyRefusals[word], action)
			if !refuses && action != "allow" && action != "accept" {
				continue
			}
			c := s.holds(l, words, q, front)
			switch {
			case l.maybe && c > never:
				c = perhaps
			case c == never:
				continue
			}
			if !refuses {
				ended[of], passed[of] = c == surely, true
				continue
			}
			g := gate{text: haproxyRefusal(l, action), at: l.at}
			switch {
			case c == surely && !passed[of]:
				ended[of] = true
			case c == surely:
				g = someOnly("what is allowed before "+l.at+" is let in", l.at)
				ended[of] = true
			case c == perhaps:
				g = gate{l.words[0] + " " + action + " under a condition: whether workers meet it is not known", l.at, true}
			default:
				continue
			}
			out = narrowest(out, g)
		}
	}
	return out
}

// haproxyRefusal says what a rule does, without its arguments: they may hold a secret.
func haproxyRefusal(l haproxyLine, action string) string {
	text := l.words[0] + " " + action
	switch action {
	case "auth":
		return text + " asks for a password, and workers send none: 401"
	case "return":
		return text + ": HAProxy answers itself"
	}
	return text + " lets no worker in"
}

// holds says whether a rule's condition does; without one it always does.
func (s *haproxySection) holds(l haproxyLine, words []string, q facts.WorkerRequest, front *haproxySection) chance {
	i := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" })
	if i < 0 {
		return surely
	}
	either, both, not, set := never, surely, false, false
	for terms := words[i+1:]; len(terms) > 0; {
		t := terms[0]
		terms = terms[1:]
		if t == "or" || t == "||" {
			either, both, set = max(either, both), surely, false
			continue
		}
		for strings.HasPrefix(t, "!") {
			not, t = !not, t[1:]
		}
		if t == "" {
			continue
		}
		c := perhaps
		if t == "{" {
			end := slices.Index(terms, "}")
			if end < 0 {
				return perhaps
			}
			c, terms = front.criterion(terms[:end], q), terms[end+1:]
		} else {
			c = s.acl(t, q, front)
		}
		if not {
			c, not = c.not(), false
		}
		both, set = min(both, c), true
	}
	if set {
		either = max(either, both)
	}
	if words[i] == "unless" {
		return either.not()
	}
	return either
}

// acl is a condition by its name: any of its lines, else HAProxy's own of that name.
func (s *haproxySection) acl(name string, q facts.WorkerRequest, front *haproxySection) chance {
	out, found := never, false
	for _, l := range s.rules("acl") {
		if len(l.words) > 2 && l.words[1] == name {
			c := front.criterion(l.words[2:], q)
			if l.maybe {
				c = perhaps
			}
			out, found = max(out, c), true
		}
	}
	if found {
		return out
	}
	switch m, ok := strings.CutPrefix(name, "METH_"); {
	case ok:
		return chanceOf(m == q.Method)
	case name == "TRUE" || name == "HTTP":
		return surely
	case name == "FALSE":
		return never
	case name == "LOCALHOST":
		return rarely
	}
	return perhaps
}

func chanceOf(holds bool) chance {
	if holds {
		return surely
	}
	return never
}

// criterion is one test of a request that came to the frontend s: "path_beg -i /admin".
func (s *haproxySection) criterion(words []string, q facts.WorkerRequest) chance {
	if len(words) == 0 || strings.Contains(strings.Join(words, " "), "$") {
		return perhaps
	}
	fetch, rest, _ := strings.Cut(words[0], "(")
	values, how, fold := []string{}, "", false
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-i":
			fold = true
		case "-m":
			if i++; i < len(words) {
				how = words[i]
			}
		case "-f", "-M":
			values = nil
			if fetch != "src" {
				return perhaps
			}
			i++
		case "--":
			values, i = append(values, words[i+1:]...), len(words)
		default:
			values = append(values, words[i])
		}
	}
	name, suffix, _ := strings.Cut(fetch, "_")
	switch {
	case fetch == "always_true":
		return surely
	case fetch == "always_false", fetch == "http_auth", fetch == "http_auth_group": // workers send no password
		return never
	case fetch == "src":
		if slices.Contains(values, "0.0.0.0/0") {
			return surely
		}
		return rarely
	case fetch == "method" && rest == "":
		return chanceOf(slices.Contains(values, q.Method))
	case fetch == "ssl_fc" && rest == "":
		return s.tls()
	case (name == "path" || name == "url") && rest == "":
		if how == "" {
			how = suffix
		}
		return haproxyPath(q.Path, how, fold, values)
	}
	return perhaps
}

// tls says whether what comes to the frontend comes by TLS.
func (s *haproxySection) tls() chance {
	with, binds := 0, s.all("bind")
	for _, l := range binds {
		if slices.Contains(l.words, "ssl") {
			with++
		}
	}
	switch {
	case with == 0:
		return never
	case with == len(binds):
		return surely
	}
	return perhaps
}

// haproxyPath compares a path as the suffix of its criterion has it. Of others than the
// protocol's there is no saying that no worker has them before its own.
func haproxyPath(path, how string, fold bool, values []string) chance {
	for _, v := range values {
		p := path
		if fold {
			p, v = strings.ToLower(p), strings.ToLower(v)
		}
		match := false
		switch how {
		case "", "str":
			match = p == v
		case "beg":
			match = strings.HasPrefix(p, v)
		case "end":
			match = strings.HasSuffix(p, v)
		case "sub":
			match = strings.Contains(p, v)
		case "dir":
			match = strings.Contains(p+"/", "/"+strings.Trim(v, "/")+"/")
		case "reg":
			re, err := regexp.Compile(v)
			if err != nil {
				return perhaps
			}
			match = re.MatchString(p)
		default:
			return perhaps
		}
		if match {
			return surely
		}
	}
	return rarely
}
