package main

import (
	"errors"
	"net"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// listeners are where serve listens; nil where it was not asked to.
type listeners struct{ workers, ops, admin net.Listener }

// listeners opens all of them, or none.
func (f *serveFlags) listeners() (*listeners, error) {
	l := &listeners{}
	open := func() (err error) {
		if l.workers, err = workersListener(f.listen, f.listenAsked); err != nil {
			return err
		}
		if f.unsafe && !f.unsafePublic && public(l.workers.Addr()) {
			return usageError("--listen 127.0.0.1:5000 is for this host alone, --keys for those who have one; --unsafe-public says that anybody may",
				"--unsafe at %s: whoever reaches this address could take part", l.workers.Addr())
		}
		if f.opsListen != "" {
			if l.ops, err = listen("--ops-listen", f.opsListen); err != nil {
				return err
			}
		}
		if f.adminListen != "" {
			l.admin, err = listen("--admin-listen", f.adminListen)
		}
		return err
	}
	if err := open(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close closes those that are open; one that was closed already does not care.
func (l *listeners) close() {
	for _, one := range []net.Listener{l.workers, l.ops, l.admin} {
		if one != nil {
			_ = one.Close()
		}
	}
}

// workersListener listens for workers: on the socket that systemd passes (see
// sd_listen_fds(3)), else at --listen. Connects to a passed socket wait while no server
// runs: systemd keeps it open. asked says whether --listen was given.
func workersListener(address string, asked bool) (net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, cantError("", "take the socket that was passed: %w", err)
	}
	if len(passed) == 0 {
		return listen("--listen", address)
	}
	socket, tcp := passed[0].(*net.TCPListener)
	if len(passed) == 1 && tcp && !asked {
		return socket, nil
	}
	for _, l := range passed {
		if l != nil {
			l.Close()
		}
	}
	switch {
	case len(passed) > 1:
		return nil, usageError("one ListenStream= of a port, such as 5000, is IPv4 and IPv6", "%d sockets were passed: want one", len(passed))
	case !tcp:
		return nil, usageError("for example ListenStream=127.0.0.1:5000", "the socket that was passed does not listen for TCP")
	}
	return nil, usageError("the .socket unit says where: leave --listen out", "--listen, and a socket was passed, at %s", socket.Addr())
}

func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // which does not repeat the address
	}
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, cantError("another process has the port; `ss -ltnp` names it, port 0 takes a free one", "%s %s: address already in use", flag, address)
	case errors.Is(err, syscall.EACCES):
		return nil, cantError("ports below 1024 need CAP_NET_BIND_SERVICE", "%s %s: permission denied", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, cantError("`ip address` lists the addresses that this host has", "%s %s: not an address of this host", flag, address)
	}
	return nil, usageError("an address is HOST:PORT", "%s %s: %w", flag, address, err)
}
