package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/server/wire"
)

// nginx's slots, where more than the number of workers varies.

// overTLS fills the slots of nginx by workers that speak TLS and trust its
// certificate.
func (r *room) overTLS() (Measurement, error) {
	cert, key := filepath.Join(r.dir, "cert.pem"), filepath.Join(r.dir, "key.pem")
	if err := factstest.WriteCertificate(cert, key); err != nil {
		return Measurement{}, fmt.Errorf("make a certificate: %w", err)
	}
	if _, err := r.nginx(proxy{
		connections: 512, listen: " ssl",
		http: fmt.Sprintf("    ssl_certificate %s;\n    ssl_certificate_key %s;\n", cert, key),
	}); err != nil {
		return Measurement{}, err
	}
	return r.overload(both, "https://"+nginxAddr, 350, "--ca", cert)
}

// reuse measures the polls held when nginx begins to cut idle clients to make
// room, while workers arrive one by one. It says so only if there is one to cut.
func (r *room) reuse() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(safe, 1); err != nil {
		return Measurement{}, err
	}
	idle, err := idleClient()
	if err != nil {
		return Measurement{}, err
	}
	defer idle.Close()
	var held int
	var line string
	err = r.during(func() error {
		if line != "" {
			return nil
		}
		n, err := r.held()
		if err != nil {
			return err
		}
		held = n
		line, err = r.logged(r.row.check)
		return err
	}, func() error {
		_, err := r.simulate(nginxURL, 350, "--ramp", "10s", "--hold", "1s")
		return err
	})
	return Measurement{float64(held), line}, err
}

// reuseport lets as many workers come as the safe bound of processes that share
// evenly promises, while an idle client is there to cut, and only then too many.
func (r *room) reuseport() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512, processes: 4, listen: " reuseport"}); err != nil {
		return Measurement{}, err
	}
	p, err := r.predict(safe, 1)
	if err != nil {
		return Measurement{}, err
	}
	idle, err := idleClient()
	if err != nil {
		return Measurement{}, err
	}
	defer idle.Close()
	rep, err := r.simulate(nginxURL, int(p.Safe), "--ramp", "5s")
	if err != nil {
		return Measurement{}, err
	}
	if line, err := r.logged(r.row.check); line != "" || err != nil {
		return Measurement{}, errors.Join(err, fmt.Errorf("at %.0f workers already: %s", p.Safe, line))
	}
	if _, err := r.simulate(nginxURL, 1300); err != nil {
		return Measurement{}, err
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(rep.Held.Steady), line}, err
}

// idleClient is a connection to nginx on which a request has been answered.
func idleClient() (net.Conn, error) {
	c, err := net.Dial("tcp", nginxAddr)
	if err != nil {
		return nil, err
	}
	if err = c.SetDeadline(time.Now().Add(10 * time.Second)); err == nil {
		_, err = fmt.Fprintf(c, "GET %s/nobody HTTP/1.1\r\nHost: %s\r\n\r\n", wire.PathChallenge, nginxAddr)
	}
	if err == nil {
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("an idle client: %w", err), c.Close())
	}
	return c, nil
}
