package main

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fltool/fltool/reports"
)

// What nginx's own log tells: requests let through, the largest body, when polls were cut.

// limitReq counts what nginx lets through at once.
func (r *room) limitReq() (Measurement, error) {
	if _, err := r.nginx(proxy{
		connections: 1024, http: "    limit_req_zone $binary_remote_addr zone=address:1m rate=1r/m;\n",
		location: "            limit_req zone=address burst=63 nodelay;\n",
	}); err != nil {
		return Measurement{}, err
	}
	const requestsPerWorker = 8
	if _, err := r.predict(safe, requestsPerWorker); err != nil {
		return Measurement{}, err
	}
	if _, err := r.simulate(nginxURL, 150); err != nil {
		return Measurement{}, err
	}
	through := 0
	if err := r.answers(func(a answer) {
		if a.status != http.StatusServiceUnavailable {
			through++
		}
	}); err != nil {
		return Measurement{}, err
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(through), line}, err
}

// body finds the largest update that comes through.
func (r *room) body() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512, location: "            client_max_body_size " + strconv.Itoa(bodyLimit) + ";\n"}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(10*bodyLimit, func(n int64) reports.Demand {
		return reports.Demand{Workers: 1, HoldSeconds: 60, ModelBytes: n}
	}); err != nil {
		return Measurement{}, err
	}
	lo, hi := 0, 2*bodyLimit // accepted, refused
	for hi-lo > bodyLimit/500 {
		size := (lo + hi) / 2
		rep, err := r.run("simulate", "--target", nginxURL, "--unsafe", "--workers", "1", "--rounds", "1", "--first", "update",
			"--update-size", strconv.Itoa(size), "--round-timeout", "500ms", "--max-lag", "1m", "--format", "json")
		if err != nil {
			return Measurement{}, err
		}
		accepted := slices.ContainsFunc(rep.Series, func(s reports.Series) bool { return s.Name == "update" && s.Count > 0 })
		if accepted {
			lo = size
		} else {
			hi = size
		}
	}
	line, err := r.logged(r.row.check)
	return Measurement{float64(lo), line}, err
}

// readTimeout lets nginx cut held polls and reads from its own log after how
// long it did: the shortest, since a busy machine is only ever late.
func (r *room) readTimeout() (Measurement, error) {
	if _, err := r.nginx(proxy{connections: 512, readTimeout: strconv.Itoa(readSecond) + "s"}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(24*3600*1000, inHold); err != nil {
		return Measurement{}, err
	}
	rep, err := r.simulate(nginxURL, 20, "--ramp", "2s", "--hold", strconv.Itoa(readSecond+2)+"s", "--round-timeout", "30s")
	if err != nil {
		return Measurement{}, err
	}
	if rep.Held.LostWhile != 20 {
		return Measurement{}, fmt.Errorf("%d of 20 held polls were cut", rep.Held.LostWhile)
	}
	return r.shortest(http.StatusGatewayTimeout, func(a answer) float64 { return a.waited })
}

// shortest is the least time in nginx's access log of answers of a status, in
// ms: nginx's own clock, which a busy machine only ever makes late.
func (r *room) shortest(status int, seconds func(answer) float64) (Measurement, error) {
	least := math.Inf(1)
	if err := r.answers(func(a answer) {
		if a.status == status {
			least = min(least, seconds(a))
		}
	}); err != nil {
		return Measurement{}, err
	}
	if math.IsInf(least, 1) {
		return Measurement{}, fmt.Errorf("nginx's access log has no answer %d", status)
	}
	line, err := r.logged(r.row.check)
	return Measurement{least * 1000, line}, err
}

// An answer is a line of nginx's access log; times are in seconds.
type answer struct {
	status int
	took   float64 // in all
	waited float64 // for the upstream; 0 where it was not asked
}

// answers reads nginx's access log.
func (r *room) answers(each func(answer)) error {
	b, err := os.ReadFile(filepath.Join(r.dir, "access.log"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		var a answer
		var bytes int
		var waited string
		rest := line[strings.LastIndexByte(line, '"')+1:]
		if _, err := fmt.Sscan(rest, &a.status, &bytes, &a.took, &waited); err != nil {
			return fmt.Errorf("access.log: %q: %w", line, err)
		}
		if waited != "-" {
			if a.waited, err = strconv.ParseFloat(waited, 64); err != nil {
				return fmt.Errorf("access.log: %q: %w", line, err)
			}
		}
		each(a)
	}
	return nil
}
