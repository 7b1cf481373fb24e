package kinds

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Hypercorn is hypercorn.
var Hypercorn = &Kind{
	Spec: facts.Spec{
		Kind: "hypercorn", Role: facts.RoleServer,
		Match: func(args []string) bool { return programAt(args, "hypercorn") >= 0 },
		Read:  readHypercorn,
	},
	Commands: []string{"hypercorn app:app", "python3 -m hypercorn app:app"},
	Source:   "hypercorn 0.13.2: config.py, asyncio/tcp_server.py and middleware/wsgi.py; measured",

	Holds:       hypercornASGI(is(Bound{Unlimited, Unlimited, ""}, "no limit", hypercornDocs)),
	Connections: always(na[Bound]("it bounds no connections")),
	Tasks:       hypercornASGI(is(int64(0), "no thread, where the application is asynchronous", hypercornDocs)),
	Descriptors: always(is(Files{Own: ownFiles, Poll: 1, Upload: 2, Spool: 1 << 20}, "one a poll, two an update above 1 MiB", hypercornDocs)),
	Memory:      always(hypercornCost),
	// It goes on reading while a request is served, and closes when nothing comes.
	Silence: func(h Hop) Answer[time.Duration] {
		if v := h.Text("read_timeout"); v.Known() && v.V == "" {
			return is(Forever, "no timeout", v.Source)
		}
		return seconds("read_timeout", "--read-timeout %d")(h)
	},
	Body:      hypercornASGI(is(Unlimited, "no limit", hypercornDocs)),
	Keepalive: seconds("keep_alive_timeout", "--keep-alive %d"),
	Restart: func(h Hop) Answer[Ending] {
		grace, requests := h.Seconds("graceful_timeout"), h.Text("max_requests")
		switch {
		case !grace.Known():
			return cant[Ending]("graceful_timeout", grace)
		case !requests.Known():
			return cant[Ending]("max_requests", requests)
		}
		end, source := Ending{Grace: grace.V, Does: "cuts polls after " + Short(grace.V)}, grace.Source
		if requests.V != "" {
			v := h.Count("max_requests")
			if !v.Known() {
				return cant[Ending]("max_requests", v)
			}
			end.Recycled, end.Never, source = afterRequests(v.V), "no --max-requests", v.Source
		}
		return is(end, Short(grace.V), source).settable(by("--graceful-timeout %d"))
	},
	State:   processCount("workers", "--workers %d"),
	Backlog: number("backlog", "--backlog %d"),
}

const hypercornDocs = "hypercorn's sources"

// hypercornASGI is an answer that holds where the application is not named as one of
// WSGI, which runs in the event loop's threads and whose bodies are bounded.
func hypercornASGI[T any](a Answer[T]) func(Hop) Answer[T] {
	return func(h Hop) Answer[T] {
		switch v := h.Text("wsgi"); {
		case !v.Known():
			return cant[T]("application", v)
		case v.V == "true":
			return unknown[T](fmt.Sprintf("%s: an application of WSGI runs in the event loop's threads, a few more than there are processors: state it by --hop 'hypercorn holds=…'", v.Source))
		}
		return a
	}
}

var hypercornFlags = []flag{
	{name: "backlog", long: "--backlog", def: "100"},
	{name: "keep_alive_timeout", long: "--keep-alive", def: "5"},
	{name: "graceful_timeout", long: "--graceful-timeout", def: "3"},
	{name: "read_timeout", long: "--read-timeout"},
	{name: "max_requests", long: "--max-requests"},
	{name: "workers", short: "-w", long: "--workers", def: "1"},
	{name: "wsgi", def: "false"},
}

// These lead to the config file.
var hypercornPaths = []flag{
	{name: "config", short: "-c", long: "--config"},
	{name: "max_requests_jitter", long: "--max-requests-jitter"},
}

// hypercornOthers are flags that units often give a variable.
var hypercornOthers = []string{"-b", "--bind", "--insecure-bind", "--quic-bind", "-u", "--user", "-g", "--group", "-p", "--pid", "-m", "--umask",
	"--log-level", "--log-file", "--access-logfile", "--error-logfile", "--log-config", "--root-path", "--certfile", "--keyfile", "--ca-certs"}

func readHypercorn(r facts.Root, p facts.Program) facts.Details {
	line := commandLine{args: p.Args[programAt(p.Args, "hypercorn")+1:], from: p.From, unexpanded: p.Unexpanded, others: hypercornOthers}
	flags := append(append([]flag(nil), hypercornFlags...), hypercornPaths...)
	args := line.parse(flags)
	s := over(defaults(hypercornFlags, "hypercorn's default"), hypercornConfig(r, p, args["config"]), args)
	for _, a := range line.args {
		if strings.HasPrefix(a, "wsgi:") {
			s["wsgi"] = known("true", p.From)
		}
	}
	for _, f := range hypercornPaths {
		delete(s, f.name)
	}
	return facts.Details{Settings: s}
}

// hypercornConfig reads the config file that --config names, where that is TOML.
func hypercornConfig(r facts.Root, p facts.Program, name facts.Value[string]) layer {
	switch {
	case name == facts.Value[string]{}:
		return nil
	case !name.Known():
		return every(hypercornFlags, errors.New(name.Why()))
	case strings.HasPrefix(name.V, "python:") || strings.HasPrefix(name.V, "file:"):
		return every(hypercornFlags, fmt.Errorf("%s: settings are in %s, which is not run", name.Source, name.V))
	}
	text, file, err := beside(r, p, name.V)
	if err != nil {
		return every(hypercornFlags, err)
	}
	return parseTOML(text, file, hypercornFlags)
}

// parseTOML reads the plain keys at the top of a TOML file. Of a key that is set in
// another way nothing is known.
func parseTOML(text, file string, flags []flag) layer {
	out := make(layer)
	n, top, block := 0, true, ""
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		source := fmt.Sprintf("%s:%d", file, n)
		if block != "" { // a text over several lines
			if strings.Contains(line, block) {
				block = ""
			}
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			top = false
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.Trim(strings.TrimSpace(key), `"'`), strings.TrimSpace(value)
		for _, mark := range []string{`"""`, "'''"} {
			if strings.Count(value, mark)%2 == 1 {
				block = mark
			}
		}
		if !ok || !top {
			continue
		}
		for _, f := range flags {
			if f.name != key {
				continue
			}
			if v := literal.FindStringSubmatch(value); v != nil {
				out[key] = known(strings.ReplaceAll(v[1]+v[2]+v[3], "_", ""), source)
				continue
			}
			out[key] = unread(fmt.Errorf("%s: %s is no plain number", source, key))
		}
	}
	return out
}
