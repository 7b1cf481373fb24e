package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// The rows of models and updates under way.

var transferRows = []row{
	{
		id: "uploads-descriptors", check: "app/nofile", formula: "app-descriptors", limit: "NOFILE of gunicorn, while updates of 300 kB are sent", set: "200", unit: "uploads",
		run: (*room).uploads,
	},
	{
		id: "nginx-uploads", check: "nginx/nofile", formula: "nginx-descriptors", limit: "worker_rlimit_nofile, while updates of 300 kB are sent", set: "200", unit: "uploads",
		run: (*room).nginxUploads,
	},
	{
		id: "downloads-memory", check: "host/cgroup-memory", limit: "memory of gunicorn's control group, while models of 5 MB are loaded", set: "+300 MB", unit: "downloads",
		run: (*room).downloads,
	},
}

const updateBytes = 300_000 // three times what bottle keeps in memory

// uploads lets clients send all but the end of an update each, one after the other, until one
// finds no descriptor.
func (r *room) uploads() (Measurement, error) {
	if err := wantModule("bottle"); err != nil {
		return Measurement{}, err
	}
	p, err := r.wsgi("bottled", nil, 200, "--worker-connections", "2000")
	if err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(safe, 1, "--model-size", strconv.Itoa(updateBytes)+"B"); err != nil {
		return Measurement{}, err
	}
	begun := strings.Repeat("x", updateBytes*5/6) // bottle reads in parts of 100 KiB, and spools from the second on
	return r.upload(p, appAddr, begun, 2)         // the connection and the spool
}

// nginxUploads is the same with nginx, and an application that answers none.
func (r *room) nginxUploads() (Measurement, error) {
	l, err := net.Listen("tcp", appAddr)
	if err != nil {
		return Measurement{}, err
	}
	defer l.Close()
	p, err := r.nginx(proxy{connections: 4096, nofile: 200, noApp: true})
	if err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(safe, 1, "--model-size", strconv.Itoa(updateBytes)+"B"); err != nil {
		return Measurement{}, err
	}
	return r.upload(p, nginxAddr, strings.Repeat("x", updateBytes), 3) // both connections and the file
}

// upload has clients send so much of an update, one after the other, each when the one
// before has taken its descriptors, and counts those until one finds none.
func (r *room) upload(p *process, address, begun string, each int) (Measurement, error) {
	for n := 0; ; n++ {
		before, err := descriptors(p.cmd.Process.Pid)
		if err != nil {
			return Measurement{}, err
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			return Measurement{}, err
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "POST %s/w HTTP/1.1\r\nHost: fl\r\nContent-Length: %d\r\n\r\n%s", wire.PathUpdate, updateBytes, begun); err != nil {
			return Measurement{}, err
		}
		line := ""
		if err := r.until("an update to be spooled, or refused", 20*time.Second, func() (bool, error) {
			if line, err = r.logged(r.row.check); line != "" || err != nil {
				return true, err
			}
			now, err := descriptors(p.cmd.Process.Pid)
			return now >= before+each, err
		}); err != nil {
			return Measurement{}, err
		}
		if line != "" {
			return Measurement{float64(n), line}, nil
		}
	}
}

// descriptors counts those of a server's process of work, its master's only child.
func descriptors(master int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	if err != nil {
		return 0, err
	}
	child, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	open, err := os.ReadDir(filepath.Join("/proc", child, "fd"))
	return len(open), err
}

const (
	modelBytes   = 5_000_000
	modelsMemory = 300_000_000
)

// downloads lets clients ask for the model, one after the other, and read only the
// beginning of it, until the kernel kills.
func (r *room) downloads() (Measurement, error) {
	g, log, err := r.shortOfMemory(modelsMemory, []string{"MODEL_BYTES=" + strconv.Itoa(modelBytes)}, 2000, func() error {
		first, err := slowDownload()
		if err != nil {
			return err
		}
		return first.Close()
	})
	if err != nil {
		return Measurement{}, err
	}
	defer log.close()
	safe, err := r.passes(1000, func(n int64) reports.Demand {
		return reports.Demand{Workers: int(n), HoldSeconds: 60, ModelBytes: modelBytes}
	})
	if err != nil {
		return Measurement{}, err
	}
	// None can take less than the model itself.
	if err := r.tell(Prediction{float64(safe), modelsMemory / modelBytes}); err != nil {
		return Measurement{}, err
	}
	n := 0
	for ; ; n++ {
		c, err := slowDownload()
		if err == nil {
			defer c.Close()
		}
		kills, killsErr := g.kills()
		if killsErr != nil {
			return Measurement{}, killsErr
		}
		if kills > 0 {
			break
		}
		if err != nil {
			return Measurement{}, err
		}
	}
	if err := log.save(filepath.Join(r.dir, "kernel.log")); err != nil {
		return Measurement{}, err
	}
	s, err := r.logged(r.row.check)
	return Measurement{float64(n), s}, err
}

// slowDownload asks for the model and reads as far as its first bytes, so that it is
// ready as a whole and waits to be sent.
func slowDownload() (net.Conn, error) {
	c, err := net.Dial("tcp", appAddr)
	if err != nil {
		return nil, err
	}
	if err = c.(*net.TCPConn).SetReadBuffer(4096); err == nil {
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: fl\r\nContent-Length: 2\r\n\r\n{}", wire.PathModel)
	}
	if err == nil {
		err = c.SetReadDeadline(time.Now().Add(time.Minute))
	}
	if err == nil {
		_, err = c.Read(make([]byte, 512))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for the model: %w", err), c.Close())
	}
	return c, nil
}
