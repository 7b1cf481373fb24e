package main

import (
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fltool/fltool/checks/facts/factstest"
)

// fakeHost completes a root by what a Debian 12 has in /proc; files that the
// script brought stay:
//
//	fakehost ROOT systemd|bare
func fakeHost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[1] != "systemd" && args[1] != "bare" {
		ts.Fatalf("usage: fakehost ROOT systemd|bare")
	}
	ts.Check(factstest.Kernel(ts.MkAbs(args[0]), args[1] == "systemd"))
}

// fakeProcess adds a running process to a root:
//
//	fakeprocess ROOT pid=10 [ppid=1] [uid=0] [nofile=1024:524288] [unit=fl.service]
//		[cgroup=PATH] [listen=0100007F:1388] [cwd=/srv] [link=TARGET] [env=A=b] -- ARG...
func fakeProcess(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fakeprocess ROOT pid=N [name=value...] -- ARG...")
	}
	var p factstest.Process
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		ts.Check(err)
		return n
	}
	for i, a := range args[1:] {
		if a == "--" {
			p.Args = args[i+2:]
			break
		}
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "pid":
			p.PID = number(value)
		case "ppid":
			p.PPID = number(value)
		case "uid":
			p.UID = number(value)
		case "nofile":
			p.Soft, p.Hard, _ = strings.Cut(value, ":")
		case "unit":
			p.Cgroup = "0::/system.slice/" + value
		case "cgroup":
			p.Cgroup = "0::" + value
		case "connected":
			p.Connected = append(p.Connected, value)
		case "listen":
			p.Listen = append(p.Listen, value)
		case "cwd":
			p.Cwd = value
		case "link":
			p.Links = append(p.Links, value)
		case "env":
			p.Env = append(p.Env, value)
		default:
			ts.Fatalf("fakeprocess: %s?", a)
		}
	}
	ts.Check(p.Write(ts.MkAbs(args[0])))
}
