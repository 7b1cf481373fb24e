package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/wire"
)

// The rows of timeouts. What preflight says is in force somewhere is when the
// connection ends: of several clients the one that ended first counts, since a
// busy machine is only ever late.

// eager is how many clients a row of a timeout has.
const eager = 12

var timeoutRows = []row{
	{
		id: "nginx-header-timeout", check: "nginx/client-timeouts", limit: "client_header_timeout", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			return r.slowClients(proxy{connections: 512, http: "    client_header_timeout " + seconds(patience) + ";\n"},
				"GET / HTTP/1.1\r\nHost: fl\r\n")
		},
	},
	{
		id: "nginx-body-timeout", check: "nginx/client-timeouts", limit: "client_body_timeout", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			return r.slowClients(proxy{connections: 512, location: "            client_body_timeout " + seconds(patience) + ";\n"},
				"POST "+wire.PathUpdate+"/nobody HTTP/1.1\r\nHost: fl\r\nContent-Length: 100000\r\n\r\n ")
		},
	},
	{
		id: "nginx-connect-timeout", check: "nginx/proxy-connect-timeout", limit: "proxy_connect_timeout", set: seconds(patience), unit: "ms",
		run: (*room).connectTimeout,
	},
	{
		id: "nginx-keepalive", check: "nginx/keepalive-timeout", limit: "keepalive_timeout", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			if _, err := r.nginx(proxy{connections: 512, http: "    keepalive_timeout " + seconds(patience) + ";\n"}); err != nil {
				return Measurement{}, err
			}
			return r.idle(nginxAddr)
		},
	},
	{
		id: "gunicorn-keepalive", check: "nginx/upstream-keepalive", limit: "gunicorn's keepalive", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			if _, err := r.gunicorn(nil, 0, "--keep-alive", strconv.Itoa(patience)); err != nil {
				return Measurement{}, err
			}
			if _, err := r.nginx(proxy{connections: 512, noApp: true, idle: 8}); err != nil { // for whom it matters
				return Measurement{}, err
			}
			return r.idle(appAddr)
		},
	},
	{
		id: "waitress-keepalive", check: "nginx/upstream-keepalive", limit: "waitress's channel_timeout", set: seconds(patience), unit: "ms",
		run: func(r *room) (Measurement, error) {
			if _, err := r.waitress("--channel-timeout="+strconv.Itoa(patience), "--cleanup-interval=1"); err != nil {
				return Measurement{}, err
			}
			if _, err := r.nginx(proxy{connections: 512, noApp: true, idle: 8}); err != nil { // for whom it matters
				return Measurement{}, err
			}
			return r.idle(appAddr)
		},
	},
	{
		id: "keepalive-race", check: "nginx/upstream-keepalive", limit: "gunicorn's keepalive, its close on the way", set: seconds(patience), unit: "ms",
		run: (*room).race,
	},
	{
		id: "gunicorn-timeout", check: "app/timeout", limit: "timeout of gunicorn's sync workers", set: seconds(2 * patience), unit: "ms",
		run: (*room).gunicornTimeout,
	},
}

func seconds(n int) string { return strconv.Itoa(n) + "s" }

// predictTime tells the time that the check's finding says is in force, in ms.
func (r *room) predictTime() error {
	rep, err := r.preflight()
	if err != nil {
		return err
	}
	for _, f := range rep.Findings {
		if f.Check != r.row.check {
			continue
		}
		// "5s", "client_body_timeout 5s", "nginx 1m, gunicorn 5s"
		d, err := time.ParseDuration(f.Got[strings.LastIndexByte(f.Got, ' ')+1:])
		if err != nil {
			return fmt.Errorf("%s tells no time: %s", f.Check, reason(rep, f.Check))
		}
		ms := float64(d.Milliseconds())
		return r.tell(Prediction{ms, ms})
	}
	return errors.New(reason(rep, r.row.check))
}

// untilClosed dials an address once for each of the eager clients, lets say talk
// to the server, and gives the shortest time from then on until the server closed.
func untilClosed(address string, say func(net.Conn) error) (time.Duration, error) {
	type ended struct {
		after time.Duration
		err   error
	}
	ends := make(chan ended, eager)
	for i := range eager {
		go func() {
			time.Sleep(time.Duration(i) * time.Second / eager) // what looks once a second sees one of them in time
			after, err := closed(address, say)
			ends <- ended{after, err}
		}()
	}
	shortest, errs := time.Duration(math.MaxInt64), error(nil)
	for range eager {
		e := <-ends
		shortest, errs = min(shortest, e.after), errors.Join(errs, e.err)
	}
	return shortest, errs
}

func closed(address string, say func(net.Conn) error) (time.Duration, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	if err := say(c); err != nil {
		return 0, err
	}
	start := time.Now()
	var timeout net.Error
	if _, err = io.Copy(io.Discard, c); errors.As(err, &timeout) && timeout.Timeout() {
		return 0, fmt.Errorf("%s did not close within a minute", address)
	}
	return time.Since(start), nil
}

// slowClients stop in the middle of a request. When they are cut is read from
// nginx's access log, which has a 408 that they never see.
func (r *room) slowClients(p proxy, begin string) (Measurement, error) {
	if _, err := r.nginx(p); err != nil {
		return Measurement{}, err
	}
	if err := r.predictTime(); err != nil {
		return Measurement{}, err
	}
	if _, err := untilClosed(nginxAddr, func(c net.Conn) error { _, err := io.WriteString(c, begin); return err }); err != nil {
		return Measurement{}, err
	}
	return r.shortest(http.StatusRequestTimeout, func(a answer) float64 { return a.took })
}

// connectTimeout lets nginx connect to a listener whose queue is full, which
// answers nothing.
func (r *room) connectTimeout() (m Measurement, err error) {
	hang, err := blackHole()
	if err != nil {
		return Measurement{}, err
	}
	defer func() { err = errors.Join(err, hang()) }()
	if _, err := r.nginx(proxy{connections: 512, noApp: true, location: "            proxy_connect_timeout " + seconds(patience) + ";\n"}); err != nil {
		return Measurement{}, err
	}
	if err := r.predictTime(); err != nil {
		return Measurement{}, err
	}
	if _, err := untilClosed(nginxAddr, func(c net.Conn) error {
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: fl\r\nConnection: close\r\n\r\n")
		return err
	}); err != nil {
		return Measurement{}, err
	}
	return r.shortest(http.StatusGatewayTimeout, func(a answer) float64 { return a.waited })
}

// blackHole listens at the application's address and never accepts; its queue
// is full, so the kernel drops whatever else comes.
func blackHole() (end func() error, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a listener that hangs: %w", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: appPort, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = unix.Listen(fd, 0)
	}
	var filling net.Conn
	if err == nil {
		filling, err = net.Dial("tcp", appAddr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a listener that hangs: %w", err), unix.Close(fd))
	}
	return func() error { return errors.Join(filling.Close(), unix.Close(fd)) }, nil
}

// idle clients have got an answer and ask nothing more.
func (r *room) idle(address string) (Measurement, error) {
	if err := r.predictTime(); err != nil {
		return Measurement{}, err
	}
	shortest, err := untilClosed(address, func(c net.Conn) error {
		if _, err := fmt.Fprintf(c, "GET %s/nobody HTTP/1.1\r\nHost: fl\r\n\r\n", wire.PathChallenge); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	})
	return Measurement{float64(shortest.Milliseconds()), "the idle connection was closed"}, err
}

// gunicornTimeout has one sync process for each poll, and lets gunicorn kill them.
func (r *room) gunicornTimeout() (Measurement, error) {
	if _, err := r.gunicorn(nil, 0, "--worker-class", "sync", "--workers", strconv.Itoa(eager), "--preload", "--timeout", strconv.Itoa(2*patience)); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(24*3600*1000, inHold); err != nil {
		return Measurement{}, err
	}
	shortest, err := untilClosed(appAddr, func(c net.Conn) error {
		_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: fl\r\nContent-Length: 2\r\n\r\n{}", wire.PathPoll)
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(shortest.Milliseconds()), line}, err
}
