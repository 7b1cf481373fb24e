package kinds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// peers are the servers of a backend that requests are spread over.
func (s *haproxySection) peers(from []string) layer {
	var addresses []string
	cookies := true // each has a value for the cookie
	for _, l := range s.all("server") {
		weight := s.serverOption(l, "weight")
		if len(l.words) < 3 || slices.Contains(l.words, "disabled") || slices.Contains(l.words, "backup") || weight.V == "0" {
			continue
		}
		addresses = append(addresses, haproxyTarget(l.words[2], from))
		cookies = cookies && l.option("cookie").V != ""
	}
	at := haproxyDefault
	if list := s.all("server"); len(list) > 0 {
		at = list[0].at
	}
	out := peersOf(addresses, s.sticky(cookies), at)
	for _, l := range s.all("server-template") {
		if len(l.words) > 2 && l.words[2] != "1" && l.words[2] != "1-1" {
			out["peers"] = unread(fmt.Errorf("%s: how many servers it makes of a name is known to DNS", l.at))
		}
	}
	return out
}

// sticky is what sends all requests of a worker to one server; "" nothing does.
func (s *haproxySection) sticky(cookies bool) facts.Value[string] {
	for _, l := range s.all("stick") {
		if len(l.words) > 1 && (l.words[1] == "on" || l.words[1] == "match") {
			return known(strings.Join(l.words[:min(3, len(l.words))], " "), l.at)
		}
	}
	if l, ok := s.last("cookie"); ok && len(l.words) > 1 && (cookies || slices.Contains(l.words, "dynamic")) {
		return known("cookie "+l.words[1], l.at)
	}
	l, ok := s.last("balance")
	if !ok || len(l.words) < 2 {
		return known("", haproxyDefault)
	}
	v := l.value(1)
	by, _, _ := strings.Cut(v.V, "(")
	switch {
	case !v.Known():
		return v
	case slices.Contains([]string{"source", "hdr", "url_param", "rdp-cookie"}, by),
		by == "hash" && !strings.Contains(strings.Join(l.words[2:], " "), "path") && !strings.Contains(strings.Join(l.words[2:], " "), "ur"):
		return known(strings.Join(l.words, " "), l.at)
	case by == "first":
		return unread(fmt.Errorf("%s: balance first goes on to the next server where one has no slot", l.at))
	}
	return known("", l.at)
}
