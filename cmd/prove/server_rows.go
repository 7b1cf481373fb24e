package main

import (
	"errors"
	"strconv"
	"strings"
)

// The rows of servers that are neither gunicorn nor fltool serve.

var serverRows = []row{
	{
		id: "waitress-threads", check: "app/worker-class", formula: "holds", limit: "waitress's threads", set: "40", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if _, err := r.waitress("--threads=40"); err != nil {
				return Measurement{}, err
			}
			return r.oneByOne(60)
		},
	},
	{
		id: "waitress-connections", check: "app/worker-connections", limit: "waitress's connection_limit, hard bound", set: "82", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if _, err := r.waitress("--threads=200", "--connection-limit=82"); err != nil {
				return Measurement{}, err
			}
			return r.overload(hard, appURL, 110, "--ramp", "10s", "--hold", "6s", "--round-timeout", "20s")
		},
	},
	{
		id: "uwsgi-threads", check: "app/worker-class", formula: "holds", limit: "uWSGI's processes × threads", set: "2 × 20", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if _, err := r.python(nil, 0, "/usr/bin/uwsgi_python3", "--http-socket", appAddr, "--module", "app:app", "--master",
				"--processes", "2", "--threads", "20", "--listen", "8"); err != nil {
				return Measurement{}, err
			}
			return r.oneByOne(60)
		},
	},
	{
		id: "uvicorn-limit", check: "app/worker-class", formula: "holds", limit: "uvicorn's --limit-concurrency", set: "60", unit: "workers",
		run: func(r *room) (Measurement, error) {
			if _, err := r.python(nil, 0, "/usr/bin/python3", "-m", "uvicorn", "--port", strconv.Itoa(appPort), "--no-access-log",
				"--limit-concurrency", "60", "asgi:app"); err != nil {
				return Measurement{}, err
			}
			return r.oneByOne(80)
		},
	},
	{
		id: "gunicorn-recycling", check: "app/recycling", limit: "gunicorn's max_requests", set: "100", unit: "requests",
		run: (*room).recycling,
	},
}

// waitress starts Debian's with the plain application.
func (r *room) waitress(args ...string) (*process, error) {
	return r.python(nil, 0, "/usr/bin/waitress-serve", append([]string{"--listen=" + appAddr}, append(args, "app:app")...)...)
}

// oneByOne is overload of a server that lets those above its bound wait: workers
// come one by one, or polls that wait would look held.
func (r *room) oneByOne(workers int) (Measurement, error) {
	return r.overload(both, appURL, workers, "--ramp", "10s", "--hold", "6s", "--round-timeout", "20s")
}

// recycling asks one thing after another, and counts what the process of gunicorn
// answers until it says that it ends.
func (r *room) recycling() (Measurement, error) {
	if _, err := r.gunicorn(nil, 0, "--max-requests", "100"); err != nil {
		return Measurement{}, err
	}
	if err := r.predictNumber(); err != nil {
		return Measurement{}, err
	}
	for n := 0; ; {
		once, err := requests(appAddr, 1)
		if err != nil {
			return Measurement{}, err
		}
		n += once
		line, err := r.logged(r.row.check)
		if line != "" || err != nil {
			return Measurement{float64(n), line}, err
		}
	}
}

// predictNumber tells the number that the check's finding says is in force:
// "after 100 requests".
func (r *room) predictNumber() error {
	rep, err := r.preflight()
	if err != nil {
		return err
	}
	for _, f := range rep.Findings {
		for word := range strings.FieldsSeq(f.Got) {
			if n, err := strconv.ParseFloat(word, 64); f.Check == r.row.check && err == nil {
				return r.tell(Prediction{n, n})
			}
		}
	}
	return errors.New(reason(rep, r.row.check))
}
