package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// The race for an idle connection: the application closes it just as the hop in front
// sends a request into it. Here the close is on its way for as long as the row lasts,
// so that who uses the connection after it loses for certain.

const (
	raced    = 72                    // idle connections, each towards an address of its own
	ages     = 24                    // at which they are used again
	apart    = 50 * time.Millisecond // these ages
	stagger  = 70 * time.Millisecond // connections begin: more than ages are apart, so that they are used in the order in which they began
	youngest = patience*time.Second - ages/2*apart
)

// race has nginx use idle connections again in the order in which they began, since it
// takes the addresses in turn, and measures the youngest that met the close.
func (r *room) race() (Measurement, error) {
	if _, err := r.python(nil, 0, "/usr/bin/gunicorn", "--worker-class", "gevent", "--bind", "0.0.0.0:"+strconv.Itoa(appPort),
		"--keep-alive", strconv.Itoa(patience), "app:app"); err != nil {
		return Measurement{}, err
	}
	var others strings.Builder
	for i := 2; i <= raced; i++ {
		fmt.Fprintf(&others, "max_fails=0;\n        server 127.0.0.%d:%d ", i, appPort)
	}
	if _, err := r.nginx(proxy{connections: 512, noApp: true, idle: raced, upstream: others.String() + "max_fails=0"}); err != nil {
		return Measurement{}, err
	}
	if err := r.predictTime(); err != nil {
		return Measurement{}, err
	}
	if err := r.tool("nft", fmt.Sprintf("add table inet fl; add chain inet fl in { type filter hook input priority 0 ; }; "+
		"add rule inet fl in tcp sport %d tcp flags & fin == fin drop", appPort)); err != nil {
		return Measurement{}, err
	}
	var began [raced]time.Time
	start := time.Now()
	for i := range began {
		time.Sleep(time.Until(start.Add(time.Duration(i) * stagger)))
		status, err := ask()
		if err != nil || status != http.StatusOK {
			return Measurement{}, fmt.Errorf("connection %d: %d, %w", i, status, err)
		}
		began[i] = time.Now()
	}
	shortest := time.Duration(math.MaxInt64)
	for i := range began {
		time.Sleep(time.Until(began[i].Add(youngest + time.Duration(ages-1-i%ages)*apart)))
		age := time.Since(began[i])
		status, err := ask()
		if err != nil {
			return Measurement{}, err
		}
		if status == http.StatusBadGateway {
			shortest = min(shortest, age)
		}
	}
	if shortest == math.MaxInt64 {
		return Measurement{}, errors.New("no request met a close")
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(shortest.Milliseconds()), line}, err
}

// ask asks nginx for the model, which nginx asks the application for only once, and
// gives the status.
func ask() (int, error) {
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Post(nginxURL+wire.PathModel, "application/json", strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}
