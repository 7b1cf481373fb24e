package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/wire"
)

var kernelRows = []row{
	{
		id: "gunicorn-memory", check: "host/cgroup-memory", formula: "memory", limit: "memory of gunicorn's control group, hard bound", set: "+40 MiB", unit: "workers",
		run: (*room).memory,
	},
	{
		id: "gunicorn-tasks", check: "app/pids", formula: "tasks", limit: "pids.max of gunicorn's control group", set: "60", unit: "workers",
		run: (*room).tasks,
	},
	{
		id: "conntrack", check: "host/conntrack", formula: "conntrack", limit: "free entries of the connection-tracking table, hard bound", set: "200", unit: "workers",
		run: (*room).conntrack,
	},
	{
		id: "time-wait", check: "host/time-wait", limit: "ports towards the upstream, where closed connections keep theirs", set: "396", unit: "workers",
		run: (*room).timeWait,
	},
}

// headroom is how much more memory than it has the application is given.
const headroom = 40 << 20

// shortOfMemory starts an application of dc_federated's kind, bottle with a queue and a
// greenlet a poll, in a control group of its own. Once warm is done, so that what the first
// ones bring with them is there before the prediction, the group gets so many bytes more
// than it uses. The caller closes the kernel's log.
func (r *room) shortOfMemory(more int64, env []string, connections int, warm func() error) (group, kernelLog, error) {
	if err := wantModule("bottle"); err != nil {
		return group{}, kernelLog{}, err
	}
	g, err := r.group("memory")
	if err != nil {
		return group{}, kernelLog{}, err
	}
	log, err := watchKernel()
	if err != nil {
		return group{}, kernelLog{}, err
	}
	err = func() error {
		// Pages of files are charged to who reads them first: not to the group, then.
		if err := os.CopyFS(r.dir, apps); err != nil {
			return err
		}
		if err := r.tool("gunicorn", "--check-config", "--worker-class", "gevent", "bottled:app"); err != nil {
			return err
		}
		r.join = g.dir
		if _, err := r.wsgi("bottled", env, 0, "--worker-connections", strconv.Itoa(connections)); err != nil {
			return err
		}
		if err := warm(); err != nil {
			return err
		}
		now, err := g.memory()
		if err != nil {
			return err
		}
		return g.limitMemory(now + more)
	}()
	if err != nil {
		log.close()
	}
	return g, log, err
}

// memory gives gunicorn's control group little more memory than it uses, and
// counts the polls held when the kernel kills it.
func (r *room) memory() (Measurement, error) {
	g, log, err := r.shortOfMemory(headroom, nil, 5000, func() error {
		_, err := r.simulate(appURL, 20, "--hold", "1s")
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	defer log.close()
	if _, err := r.predict(hard, 1); err != nil {
		return Measurement{}, err
	}
	most := 0 // held before the first kill: what comes after is a new process's
	err = r.during(func() error {
		held, err := accepted(appPort)
		if err != nil {
			return err
		}
		kills, err := g.kills()
		if kills == 0 {
			most = max(most, held)
		}
		return err
	}, func() error {
		_, err := r.simulate(appURL, 1350, "--ramp", "30s", "--round-timeout", "40s")
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	if err := log.save(filepath.Join(r.dir, "kernel.log")); err != nil {
		return Measurement{}, err
	}
	s, err := r.logged(r.row.check)
	return Measurement{float64(most), s}, err
}

// tasks gives gunicorn's control group few tasks, and counts the polls that
// threads hold when the next can't start, which ends the process and cuts all.
func (r *room) tasks() (Measurement, error) {
	g, err := r.group("pids")
	if err != nil {
		return Measurement{}, err
	}
	if err := g.set("pids.max", "60"); err != nil {
		return Measurement{}, err
	}
	r.join = g.dir
	if _, err := r.gunicorn(nil, 0, "--worker-class", "gthread", "--threads", "200"); err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(both, 1); err != nil {
		return Measurement{}, err
	}
	most, line := 0, ""
	err = r.during(func() error {
		held, err := accepted(appPort)
		if err != nil || line != "" {
			return err
		}
		if line, err = r.logged(r.row.check); line == "" {
			most = max(most, held)
		}
		return err
	}, func() error {
		_, err := r.simulate(appURL, 70, "--ramp", "20s") // slowly: threads fail a moment before the log tells
		return err
	})
	return Measurement{float64(most), line}, err
}

// conntrack fills the table but for 200 entries, loads, and counts the polls
// that are held. The table's size is the whole kernel's and stays as it is; the
// entries are the room's network namespace's alone, and go with it.
func (r *room) conntrack() (Measurement, error) {
	const free = 200
	if _, err := r.gunicorn(nil, 0, "--worker-connections", "2000"); err != nil {
		return Measurement{}, err
	}
	size, err := readNumber("/proc/sys/net/netfilter/nf_conntrack_max")
	if errors.Is(err, os.ErrNotExist) {
		return Measurement{}, &cannot{"the kernel has no connection tracking"}
	}
	if err != nil {
		return Measurement{}, err
	}
	if size < free || size > 1<<20 {
		return Measurement{}, &cannot{fmt.Sprintf("a table of %d entries is not filled: 200 to 1048576 are", size)}
	}
	log, err := watchKernel()
	if err != nil {
		return Measurement{}, err
	}
	defer log.close()
	if err := r.tool("nft", "add table inet fl; add chain inet fl in { type filter hook input priority 0 ; }; add rule inet fl in ct state new accept"); err != nil {
		return Measurement{}, err
	}
	count, err := readNumber("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		return Measurement{}, err
	}
	entries := filepath.Join(r.dir, "entries")
	if err := os.WriteFile(entries, flows(int(size-count)-free), 0o600); err != nil {
		return Measurement{}, err
	}
	if err := r.tool("conntrack", "--load-file", entries); err != nil {
		return Measurement{}, err
	}
	m, err := r.overload(hard, appURL, 260)
	if err != nil {
		return Measurement{}, err
	}
	if err := log.save(filepath.Join(r.dir, "kernel.log")); err != nil {
		return Measurement{}, err
	}
	m.Symptom, err = r.logged(r.row.check)
	return m, err
}

// timeWait lets nginx open a connection a request, whose port stays taken for a
// minute, and counts the requests that come through until there is no port left.
func (r *room) timeWait() (Measurement, error) {
	if err := sysctl("net.ipv4.tcp_tw_reuse", "0"); err != nil { // on loopback the kernel would reuse them
		return Measurement{}, err
	}
	if err := sysctl("net.ipv4.ip_local_port_range", "20000 20395"); err != nil {
		return Measurement{}, err
	}
	// By HTTP/1.0 the application may close first, and then the port is its own.
	if _, err := r.nginx(proxy{connections: 512, location: "            proxy_http_version 1.1;\n            proxy_set_header Connection '';\n"}); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(10000, inWorkers); err != nil {
		return Measurement{}, err
	}
	through, err := requests(nginxAddr, 1000)
	if err != nil {
		return Measurement{}, err
	}
	line, err := r.logged(r.row.check)
	const perWorker = 1 + 5 // its poll, and the requests of a round
	return Measurement{float64(through) / perWorker, line}, err
}

// requests asks one thing after another on one connection, and counts the answers
// until one is an error.
func requests(address string, most int) (int, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for n := range most {
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return n, err
		}
		if _, err := fmt.Fprintf(c, "GET %s/nobody HTTP/1.1\r\nHost: fl\r\n\r\n", wire.PathChallenge); err != nil {
			return n, err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return n, err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return n, err
		}
		if resp.StatusCode != http.StatusOK {
			return n, nil
		}
	}
	return most, nil
}

// flows are tracked connections between addresses that nobody has, in the words
// of conntrack.
func flows(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "-A -t 3600 -u SEEN_REPLY,ASSURED -p tcp --state ESTABLISHED -s 10.%d.%d.%d -d 192.0.2.1 --sport 1000 --dport 80\n", i>>16&255, i>>8&255, i&255)
	}
	return []byte(b.String())
}

// tool runs a program to its end; where it is not installed the row can't be run.
func (r *room) tool(name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return &cannot{name + " is not installed (make setup)"}
	}
	cmd := exec.CommandContext(r.ctx, path, args...)
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// wantModule wants a module of Debian's.
func wantModule(module string) error {
	if err := exec.Command("/usr/bin/python3", "-c", "import "+module).Run(); err != nil {
		return &cannot{"python3-" + module + " is not installed (make setup)"}
	}
	return nil
}

func readNumber(file string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// A kernelLog reads what the kernel logs from its making on.
type kernelLog struct{ fd int }

func watchKernel() (kernelLog, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return kernelLog{}, &cannot{"the kernel's log may not be read: " + err.Error()}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		return kernelLog{}, errors.Join(err, unix.Close(fd))
	}
	return kernelLog{fd}, nil
}

func (l kernelLog) close() { unix.Close(l.fd) }

// save writes the lines since, as dmesg shows them but for the time.
func (l kernelLog) save(file string) error {
	var b strings.Builder
	record := make([]byte, 16<<10)
	for {
		n, err := unix.Read(l.fd, record)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return os.WriteFile(file, []byte(b.String()), 0o600)
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EINTR): // lines were overwritten before they were read
			continue
		case err != nil:
			return fmt.Errorf("read the kernel's log: %w", err)
		}
		// "6,339,5140900,-;text", then lines of a device's data.
		_, text, _ := strings.Cut(string(record[:n]), ";")
		line, _, _ := strings.Cut(text, "\n")
		b.WriteString(line + "\n")
	}
}
