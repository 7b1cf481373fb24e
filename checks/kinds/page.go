package kinds

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// Page is the manual's page of the catalogue, in Markdown.
func Page() string {
	var b strings.Builder
	b.WriteString(`# The kinds of hops

What fltool knows of each server, proxy and forwarder on the way of a poll: how it is
known, what it answers with its default settings, where that was read, and which
experiments of ` + "`make prove`" + ` proved it. What is unknown, or set by a program itself, is
stated by ` + "`--hop 'KIND QUESTION=ANSWER'`" + `, what the application holds by ` + "`--holds N`" + `.
Load balancers are named by ` + "`--lb`" + `: ` + strings.Join(Balancers(), ", ") + `.

The questions: polls and connections at once; tasks (threads or processes), descriptors and memory of
a poll; the longest silence while a poll is held; the largest body; how long idle connections are
kept; what a restart does to held polls; processes with a state of their own; connections
that wait to be accepted; servers that one worker's requests go to; whether workers are let in.

Envoy and Traefik are in no Debian package and were not run: what stands here of them is what
their documentation says, and no row of ` + "`make prove`" + ` proves it.
`)
	for _, role := range []struct {
		role  facts.Role
		title string
	}{{facts.RoleServer, "Servers"}, {facts.RoleProxy, "Proxies"}, {facts.RoleForwarder, "Forwarders"}} {
		fmt.Fprintf(&b, "\n## %s\n", role.title)
		for _, k := range all {
			if k.Role == role.role {
				k.section(&b)
			}
		}
	}
	return b.String()
}

// section is the part of one kind.
func (k *Kind) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n", k.Kind)
	h := Hop{Kind: k}
	if len(k.Commands) > 0 {
		fmt.Fprintf(b, "Known by `%s`; below: the first of these.\n\n", strings.Join(k.Commands, "`, `"))
		if k.Read != nil {
			h.Settings = k.Read(facts.NewRoot("/nonexistent"), facts.Program{Args: strings.Fields(k.Commands[0]), From: "the command line", Cwd: "/"}).Settings
		}
	}
	b.WriteString("| question | answer |\n| --- | --- |\n")
	for _, q := range Questions {
		fmt.Fprintf(b, "| %s | %s |\n", q, strings.ReplaceAll(h.told(q), "|", `\|`))
	}
	proof := k.Proof
	if proof == "" {
		proof = "none"
	}
	fmt.Fprintf(b, "\nRead in: %s. Proved by: %s.\n", k.Source, proof)
}

// told is an answer as a reader of the page sees it.
func (h Hop) told(q Question) string {
	switch q {
	case Holds:
		return tell(h.Holds(), Bound.beyond)
	case Connections:
		return tell(h.Connections(), Bound.beyond)
	case Tasks:
		return tell(h.Tasks(), nil)
	case Descriptors:
		return tell(h.Descriptors(), nil)
	case Memory:
		return tell(h.Memory(), nil)
	case Silence:
		return tell(h.Silence(), nil)
	case Body:
		return tell(h.Body(), nil)
	case Keepalive:
		return tell(h.Keepalive(), nil)
	case Restart:
		return tell(h.Restart(), func(e Ending) string { return e.Recycled })
	case State:
		return tell(h.State(), nil)
	case Peers:
		return tell(h.Peers(), nil)
	case Access:
		return tell(h.Access(), nil)
	}
	return tell(h.Backlog(), nil)
}

func (b Bound) beyond() string {
	if b.Beyond == "" {
		return ""
	}
	return "one more " + b.Beyond
}

func tell[T any](a Answer[T], more func(T) string) string {
	switch a.Status {
	case NA:
		return "n/a: " + a.Why
	case Unknown:
		return "unknown: " + a.Why
	}
	if more != nil && more(a.V) != "" {
		return a.Got + "; " + more(a.V)
	}
	return a.Got
}
