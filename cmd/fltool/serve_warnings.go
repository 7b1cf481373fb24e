package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/fltool/fltool/server"
)

// warning is something that serve does as it was asked to, and should not be asked.
type warning struct {
	text  string
	about []any // what the log says with it, as slog takes it
}

// warnings is what an operator should know about the way a server is run.
func (f *serveFlags) warnings(l *listeners) []warning {
	var list []warning
	warn := func(text string, about ...any) { list = append(list, warning{text, about}) }
	for _, odd := range f.odd {
		warn("in the key list, "+odd, "keys", f.keys)
	}
	if at := l.workers.Addr(); f.unsafe && public(at) {
		warn("--unsafe lets whoever reaches this address take part", "listen", at)
	}
	if all := f.round == "" || f.round == server.All.String(); all && !f.unsafe && f.roundTimeout == 0 {
		warn("a worker that is gone, or an update that a restart loses, stalls a round of all for ever: --round-timeout ends it without them")
	}
	if l.ops != nil && public(l.ops.Addr()) {
		warn("whoever reaches this address sees metrics and can profile the server: pprof tells of memory, and costs CPU", "ops_listen", l.ops.Addr())
	}
	if l.admin != nil && f.tlsCert == "" && public(l.admin.Addr()) {
		warn("the admin's password comes to this address in the clear: --tls-cert keeps it from those on the way", "admin_listen", l.admin.Addr())
	}
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			return 0 // not there yet; whatever else is told where it is used
		}
		return info.Mode().Perm()
	}
	if f.tlsKey != "" {
		if m := mode(f.tlsKey); m&0o004 != 0 {
			warn("every user of this host can read the TLS key: chmod o= it, and get a new one", "file", f.tlsKey, "mode", m)
		}
	}
	if f.state != "" {
		for _, name := range []string{"", "state.db", "updates"} {
			path := filepath.Join(f.state, name)
			if m := mode(path); m&0o002 != 0 {
				warn("every user of this host can change the state: chmod o-w it", "file", path, "mode", m)
			}
		}
	}
	return list
}

// public says whether an address is of more than this host.
func public(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}
