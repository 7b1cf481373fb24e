// Package factstest writes fake hosts for tests, the files of /proc that facts
// are read from below a directory, and certificates.
package factstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Process is one of a fake host. Zero fields are left at what an idle process
// of root has.
type Process struct {
	PID, PPID  int // PPID 0 is 1
	UID        int
	Args       []string
	Env        []string
	Soft, Hard string   // NOFILE; "1024" and "524288"
	Cgroup     string   // "0::/system.slice/fl.service"; "0::/"
	Links      []string // targets of its descriptors: "socket:[7]"
	Cwd        string
	Listen     []string // addresses as /proc/net/tcp has them: "0100007F:1388"
	Connected  []string // remote addresses of its connections, likewise
}

// Host makes a fake host under systemd with these processes, and gives its directory.
func Host(t testing.TB, procs ...Process) string {
	t.Helper()
	dir := t.TempDir()
	if err := Kernel(dir, true); err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if err := p.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Write adds the process to the host below root.
func (p Process) Write(root string) error {
	dir := filepath.Join(root, "proc", fmt.Sprint(p.PID))
	if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o755); err != nil {
		return err
	}
	or := func(s, def string) string {
		if s == "" {
			return def
		}
		return s
	}
	ppid := max(p.PPID, 1)
	name := "idle"
	if len(p.Args) > 0 {
		name = filepath.Base(strings.Fields(p.Args[0] + " -")[0])
	}
	terminated := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return strings.Join(list, "\x00") + "\x00"
	}
	for file, text := range map[string]string{
		"cmdline": terminated(p.Args),
		"environ": terminated(p.Env),
		"comm":    name + "\n",
		"stat":    fmt.Sprintf("%d (%s) S %d %d %d 0 -1 4194304 1 0 0 0 50 10 0 0 20 0 2 0 100 1000000 5000 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", p.PID, name, ppid, p.PID, p.PID),
		"status":  fmt.Sprintf("Name:\t%s\nUid:\t%d\t%d\t%d\t%d\nThreads:\t2\nCapBnd:\t000001ffffffffff\n", name, p.UID, p.UID, p.UID, p.UID),
		"limits": fmt.Sprintf("Limit                     Soft Limit           Hard Limit           Units     \n"+
			"Max processes             63000                63000                processes \n"+
			"Max open files            %-20s %-20s files     \n", or(p.Soft, "1024"), or(p.Hard, "524288")),
		"cgroup": or(p.Cgroup, "0::/") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	links := append([]string{"/dev/null", "/dev/null", "/dev/null"}, p.Links...)
	for i, addr := range p.Listen {
		inode := p.PID*100 + i
		links = append(links, fmt.Sprintf("socket:[%d]", inode))
		if err := addSocket(root, fmt.Sprintf("%s 00000000:0000 0A 00000000:00000000 00:00000000 00000000 %d 0 %d 1", addr, p.UID, inode)); err != nil {
			return err
		}
	}
	for i, addr := range p.Connected {
		inode := p.PID*100 + 50 + i
		links = append(links, fmt.Sprintf("socket:[%d]", inode))
		if err := addSocket(root, fmt.Sprintf("0100007F:C000 %s 01 00000000:00000000 00:00000000 00000000 %d 0 %d 1", addr, p.UID, inode)); err != nil {
			return err
		}
	}
	for i, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, "fd", fmt.Sprint(i))); err != nil {
			return err
		}
	}
	if p.Cwd != "" {
		return os.Symlink(p.Cwd, filepath.Join(dir, "cwd"))
	}
	return nil
}

// addSocket adds a line to /proc/net/tcp.
func addSocket(root, line string) error {
	path := filepath.Join(root, "proc/net/tcp")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		old = []byte("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	}
	return os.WriteFile(path, fmt.Appendf(old, "   0: %s\n", line), 0o644)
}

// Kernel adds what a host of 4 CPUs and 8 GiB has in /proc besides processes:
// Debian 12's settings, PID 1 being systemd where systemd is set.
func Kernel(root string, systemd bool) error {
	init := Process{PID: 1, Args: []string{"/sbin/init"}, Cgroup: "0::/init.scope"}
	comm := "systemd\n"
	if !systemd {
		init.Args, comm = []string{"/bin/sh"}, "sh\n"
	}
	if err := init.Write(root); err != nil {
		return err
	}
	if systemd {
		if err := os.MkdirAll(filepath.Join(root, "usr/lib/systemd"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, "usr/lib/systemd/libsystemd-shared-252.so"), nil, 0o644); err != nil {
			return err
		}
	}
	var cpus strings.Builder
	for i := range 4 {
		fmt.Fprintf(&cpus, "processor\t: %d\nmodel name\t: Example CPU\n\n", i)
	}
	for name, text := range map[string]string{
		"proc/1/comm":                               comm,
		"proc/meminfo":                              "MemTotal:        8388608 kB\nMemFree:         4194304 kB\nMemAvailable:    6291456 kB\n",
		"proc/cpuinfo":                              cpus.String(),
		"proc/net/sockstat":                         "sockets: used 100\nTCP: inuse 5 orphan 0 tw 0 alloc 6 mem 1\nUDP: inuse 0 mem 0\n",
		"proc/net/netstat":                          "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 0 0\n",
		"proc/sys/fs/nr_open":                       "1048576\n",
		"proc/sys/fs/file-max":                      "9223372036854775807\n",
		"proc/sys/fs/file-nr":                       "2000\t0\t9223372036854775807\n",
		"proc/sys/kernel/hostname":                  "fl\n",
		"proc/sys/kernel/osrelease":                 "6.1.0-13-amd64\n",
		"proc/sys/kernel/pid_max":                   "4194304\n",
		"proc/sys/kernel/threads-max":               "63000\n",
		"proc/sys/net/core/somaxconn":               "4096\n",
		"proc/sys/net/ipv4/ip_local_port_range":     "32768\t60999\n",
		"proc/sys/net/ipv4/ip_local_reserved_ports": "\n",
		"proc/sys/net/ipv4/tcp_keepalive_time":      "7200\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":     "512\n",
		"proc/sys/net/ipv4/tcp_mem":                 "92679\t123574\t185358\n",
		"proc/sys/net/ipv4/tcp_syncookies":          "1\n",
		"proc/sys/net/ipv4/tcp_tw_reuse":            "2\n",
		"sys/fs/cgroup/cgroup.controllers":          "memory pids\n",
		"etc/passwd":                                "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nfl:x:1000:1000::/srv/fl:/bin/sh\n",
		"etc/group":                                 "root:x:0:\nwww-data:x:33:\nfl:x:1000:\n",
		"etc/security/limits.conf":                  "# <domain> <type> <item> <value>\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if _, err := os.Stat(path); err == nil && name != "proc/1/comm" {
			continue // the test brought its own
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	// A head alone, where nobody listens.
	path := filepath.Join(root, "proc/net/tcp")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return os.WriteFile(path, []byte("  sl  local_address rem_address   st\n"), 0o644)
}
