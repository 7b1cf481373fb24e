package kinds

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// The servers that frameworks bring for development. Without threads they hold one
// poll at a time; with threads each poll takes one, and nothing bounds them. A
// program that starts one itself, by app.run() say, can't be told from any other of
// Python.
var (
	Werkzeug = devServer{
		name: "werkzeug", source: "werkzeug/serving.py and flask/cli.py of Flask 2.2; measured", commands: []string{"flask --app app run", "python3 -m flask run --without-threads"},
		at: flaskAt, threads: true, without: "--without-threads", with: "--with-threads", prefix: "FLASK_RUN_", backlog: 128,
	}.kind()
	Django = devServer{
		name: "runserver", source: "django/core/servers/basehttp.py of Django 3.2", commands: []string{"python3 manage.py runserver", "django-admin runserver --nothreading"},
		at: djangoAt, threads: true, without: "--nothreading", backlog: 10, keeps: true,
	}.kind()
	HTTPServer = devServer{
		name: "http.server", source: "Lib/http/server.py of Python 3.11; measured", commands: []string{"python3 -m http.server 5000"},
		at: func(args []string) int { return programAt(args, "http.server") }, threads: true, noPOST: true, backlog: 5,
	}.kind()
	WSGIRef = devServer{
		name: "wsgiref", source: "Lib/wsgiref/simple_server.py of Python 3.11; bottle 0.12", commands: []string{"python3 -m wsgiref.simple_server", "python3 -m bottle app:app"},
		at: wsgirefAt, backlog: 5,
	}.kind()
)

// devServer is one of these.
type devServer struct {
	name, source  string
	commands      []string
	at            func(args []string) int // its program among arguments; -1: it is none
	threads       bool                    // it has threads unless it is told otherwise
	without, with string                  // flags that do
	prefix        string                  // of the variables that stand for flags
	backlog       int64
	noPOST        bool // it serves files alone
	keeps         bool // it keeps idle connections, each by a thread
}

func (d devServer) kind() *Kind {
	var env []string
	if d.prefix != "" {
		env = []string{d.prefix + "WITH_THREADS"}
	}
	keeps, got := time.Duration(0), "closes each connection"
	if d.keeps {
		keeps, got = Forever, "for ever, by a thread each"
	}
	return &Kind{
		Spec: facts.Spec{
			Kind: d.name, Role: facts.RoleServer, Env: env,
			Match: func(args []string) bool { return d.at(args) >= 0 },
			Read: func(_ facts.Root, p facts.Program) facts.Details {
				return facts.Details{Settings: d.read(p)}
			},
		},
		Commands: d.commands, Source: d.source,

		Holds:       byThreads(d.many(), d.single()),
		Connections: always(na[Bound]("it bounds no connections")),
		Descriptors: always(is(Files{Own: ownFiles, Poll: 1, Upload: 2, Spool: 100 << 10}, "one a poll, two an update above 100 KiB", "as bottle and werkzeug write forms to disk")),
		Memory:      always(threadCost),
		Tasks:       byThreads(is(int64(1), "a thread a poll", d.source), is(int64(0), "no thread", d.source)),
		Keepalive:   byThreads(is(keeps, got, d.source), is(time.Duration(0), "closes each connection", d.source)),
		Silence:     always(is(Forever, "no timeout", d.source)),
		Body:        always(is(Unlimited, "no limit of its own", d.source)),
		Restart:     always(is(Ending{Does: "cuts all polls"}, "cuts held polls", d.source)),
		State:       always(is(int64(1), "1 process", d.source)),
		Backlog:     always(is(d.backlog, fmt.Sprint(d.backlog), d.source)),
	}
}

// many is what it holds with threads.
func (d devServer) many() Answer[Bound] {
	if d.noPOST {
		return is(Bound{0, 0, "gets a 501"}, "no POST is answered, only files", d.source)
	}
	return is(Bound{Unlimited, Unlimited, ""}, "a thread a poll, without a bound", d.source)
}

// single is what it holds without threads.
func (d devServer) single() Answer[Bound] {
	a := is(Bound{1, 1, "waits until that ends"}, "1 at a time: no threads", d.source)
	if d.without == "" {
		return a
	}
	return a.settable(func(int64) string { return "no " + d.without })
}

// read says whether it has threads.
func (d devServer) read(p facts.Program) facts.Settings {
	s := layer{"threads": known(fmt.Sprint(d.threads), d.name+"'s default")}
	if name := d.prefix + "WITH_THREADS"; d.prefix != "" {
		if p.EnvErr != nil {
			s["threads"] = unread(p.EnvErr)
		}
		if v, ok := p.Env[name]; ok && v.Known() {
			off := slices.Contains([]string{"0", "f", "false", "n", "no", "off"}, strings.ToLower(v.V))
			s["threads"] = known(fmt.Sprint(!off), v.Source)
		}
	}
	line := commandLine{args: p.Args[d.at(p.Args)+1:], from: p.From, unexpanded: p.Unexpanded, others: []string{"-h", "--host", "-p", "--port", "--app", "-A"}}
	set := line.parse([]flag{{name: "with", long: d.with, alone: true, exact: true}, {name: "without", long: d.without, alone: true, exact: true}})
	with, isWith := set["with"]
	without, isWithout := set["without"]
	switch {
	case isWith && isWithout:
		s["threads"] = unread(fmt.Errorf("%s: both %s and %s", p.From, d.with, d.without))
	case isWith && !with.Known(), isWithout && !without.Known():
		s["threads"] = unread(errors.New(cmp.Or(with.Err, without.Err)))
	case isWith, isWithout:
		s["threads"] = known(fmt.Sprint(isWith), p.From)
	}
	return s
}

// flaskAt finds "flask … run".
func flaskAt(args []string) int {
	if at := programAt(args, "flask"); at >= 0 && slices.Contains(args[at+1:], "run") {
		return at
	}
	return -1
}

// djangoAt finds "manage.py runserver" and its like.
func djangoAt(args []string) int {
	if at := programAt(args, "manage.py", "django-admin", "django"); at >= 0 && slices.Contains(args[at+1:], "runserver") {
		return at
	}
	return -1
}

// wsgirefAt finds what runs wsgiref: bottle does unless it is told of another server.
func wsgirefAt(args []string) int {
	if at := programAt(args, "wsgiref.simple_server"); at >= 0 {
		return at
	}
	at := programAt(args, "bottle", "bottle.py")
	if at < 0 {
		return -1
	}
	server := commandLine{args: args[at+1:], from: "arguments"}.parse([]flag{{name: "server", short: "-s", long: "--server"}})["server"]
	if server.V != "" && server.V != "wsgiref" {
		return -1
	}
	return at
}

// byThreads answers what threads decide.
func byThreads[T any](with, without Answer[T]) func(Hop) Answer[T] {
	return func(h Hop) Answer[T] {
		switch v := h.Text("threads"); {
		case !v.Known():
			return cant[T]("threads", v)
		case v.V == "true":
			with.Source = v.Source
			return with
		default:
			without.Source = v.Source
			return without
		}
	}
}
