package facts

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
)

const port5000 = "0100007F:1388"

// host is a fake one with these processes.
func host(t testing.TB, procs ...factstest.Process) Root {
	t.Helper()
	return NewRoot(factstest.Host(t, procs...))
}

func gather(t testing.TB, r Root, a Asked) Facts {
	t.Helper()
	f, err := Gather(r, Scope{Asked: a, Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCgroups(t *testing.T) {
	for _, c := range []struct {
		name, cgroup string
		files        map[string]string
		memory, pids CgroupLimit
		unit         string
	}{
		{"v2, the tightest of all above", "0::/a.slice/fl.service/x", map[string]string{
			"a.slice/memory.max": "1000000\n", "a.slice/memory.current": "500\n", "a.slice/memory.stat": "anon 1\ninactive_file 100\n",
			"a.slice/fl.service/memory.max": "max\n", "a.slice/fl.service/pids.max": "50\n", "a.slice/fl.service/pids.current": "3\n",
			"a.slice/memory.events": "low 0\nmax 9\noom 2\noom_kill 1\n", "a.slice/fl.service/pids.events": "max 4\n",
		}, CgroupLimit{1000000, 400, "/sys/fs/cgroup/a.slice/memory.max", known(int64(1), "/sys/fs/cgroup/a.slice/memory.events")},
			CgroupLimit{50, 3, "/sys/fs/cgroup/a.slice/fl.service/pids.max", known(int64(4), "/sys/fs/cgroup/a.slice/fl.service/pids.events")}, "fl.service"},
		{"v2, a group above with a higher limit that is nearly used up", "0::/a.slice/fl.service", map[string]string{
			"a.slice/memory.max": "2000000\n", "a.slice/memory.current": "1900000\n", "a.slice/memory.events": "oom_kill 0\n",
			"a.slice/fl.service/memory.max": "1000000\n", "a.slice/fl.service/memory.current": "100\n",
		}, CgroupLimit{2000000, 1900000, "/sys/fs/cgroup/a.slice/memory.max", known(int64(0), "/sys/fs/cgroup/a.slice/memory.events")}, CgroupLimit{Max: Unlimited}, "fl.service"},
		{"v2, memory.high below memory.max", "0::/a.slice", map[string]string{
			"a.slice/memory.max": "max\n", "a.slice/memory.high": "800\n", "a.slice/memory.current": "300\n", "a.slice/memory.events": "oom_kill 0\n",
		}, CgroupLimit{800, 300, "/sys/fs/cgroup/a.slice/memory.high", known(int64(0), "/sys/fs/cgroup/a.slice/memory.events")}, CgroupLimit{Max: Unlimited}, ""},
		{"v1, a container's path of the outer host", "5:memory:/docker/abc\n6:pids:/docker/abc\n1:name=systemd:/docker/abc", map[string]string{
			"memory/memory.limit_in_bytes": "2000000\n", "memory/memory.usage_in_bytes": "100\n",
			"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
			"pids/pids.max":             "max\n",
		}, CgroupLimit{2000000, 100, "/sys/fs/cgroup/memory/memory.limit_in_bytes", known(int64(3), "/sys/fs/cgroup/memory/memory.oom_control")}, CgroupLimit{Max: Unlimited}, ""},
		{"v1's word for none", "5:memory:/\n6:pids:/", map[string]string{
			"memory/memory.limit_in_bytes": "9223372036854771712\n", "pids/x": "",
		}, CgroupLimit{Max: Unlimited}, CgroupLimit{Max: Unlimited}, ""},
		{"a user's session is no service of ours", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x", nil, CgroupLimit{Max: Unlimited}, CgroupLimit{Max: Unlimited}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"proc/7/cgroup": c.cgroup + "\n", "sys/fs/cgroup/x": ""}
			for name, text := range c.files {
				files["sys/fs/cgroup/"+name] = text
			}
			got, unit, err := readCgroup(write(t, files), 7)
			if err != nil {
				t.Fatal(err)
			}
			if got.Memory != c.memory || got.PIDs != c.pids || unit != c.unit {
				t.Errorf("got %+v of %q", got, unit)
			}
		})
	}
	for text, files := range map[string]map[string]string{
		"no mount": {"proc/7/cgroup": "0::/\n"},
		"garbled":  {"proc/7/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "lots\n"},
		"no use":   {"proc/7/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5\n"},
	} {
		if c, _, err := readCgroup(write(t, files), 7); err == nil {
			t.Errorf("%s: %+v", text, c)
		}
	}
}

func TestSavedFactsReadBack(t *testing.T) {
	r := host(t, factstest.Process{PID: 10, Args: []string{"gunicorn"}, Listen: []string{port5000}})
	var first, again bytes.Buffer
	if err := gather(t, r, Asked{}).Write(&first); err != nil {
		t.Fatal(err)
	}
	text := first.String()
	f, err := Read(&first)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(&again); err != nil {
		t.Fatal(err)
	}
	if text != again.String() {
		t.Error("facts change by being saved")
	}
	for bad, want := range map[string]string{
		"":                 "it is empty",
		text[:len(text)/2]: "ends in the middle",
		"{}":               "names no schema",
		"[]":               "cannot unmarshal",
		"nonsense":         "not JSON at byte 2",
		text + "{}":        "not JSON",
		strings.Replace(text, Schema, "fltool.facts/v1", 1): `schema "fltool.facts/v1"`,
		strings.Replace(text, `"pid": 10`, `"pid": "x"`, 1): "pid",
		strings.Replace(text, `"pid": 10`, `"pid": -10`, 1): "PID is -10",
	} {
		if _, err := Read(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q…: error %v, want %q", bad, err, want)
		}
	}
	// Facts that say nothing are all unknown.
	f, err = Read(strings.NewReader(`{"schema":"` + Schema + `"}`))
	if err != nil || f.Memory.Known() || f.Processes.Known() || f.Sysctls.NROpen.Known() {
		t.Errorf("%v: facts from nowhere", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"fltool.facts/v2","memory":{"v":{"totalBytes":1},"source":"x"},"processes":{"v":[{"pid":1,"listen":{"v":[{"addr":"127.0.0.1:1"}]}}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		if err := v.Write(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}

// Every parser of /proc takes anything without a panic, and what it accepts is
// within bounds.
func FuzzProc(f *testing.F) {
	f.Add(limitsTable, "32768 60999", "8080,9000-9010")
	f.Add("MemTotal: 1 kB\nMemAvailable: 2 kB\n", "TcpExt: a ListenOverflows ListenDrops\nTcpExt: 1 2 3\n", "processor: 0\nmodel name: x\n")
	f.Add("sl\n 0: 0100007F:1388 00000000:0000 0A 00000000:00000003 00:00000000 00000000 0 0 34494 1\n", "7 (a) b) S 1 2", "4:memory:/a\n0::/b.service\n")
	f.Add("Uid:\t0\t0\t0\t0\nThreads:\t3\nCapBnd:\t1ff\n", "1 0 2", "root:x:0:0::/:/bin/sh")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if p, err := parsePortRange(b, c); err == nil && (p.Usable() < 0 || p.Usable() > 65536) {
			t.Errorf("%+v", p)
		}
		for _, s := range []string{a, b, c} {
			if l, err := parseLimits(strings.NewReader(s)); err == nil && (l.NoFile.Soft < Unlimited || l.NoFile.Hard < Unlimited) {
				t.Errorf("%+v", l)
			}
			if m, err := parseMemory(strings.NewReader(s)); err == nil && (m.TotalBytes < 0 || m.AvailableBytes < 0) {
				t.Errorf("%+v", m)
			}
			if n, err := parseNetstat(strings.NewReader(s)); err == nil && (n.Overflows < 0 || n.Drops < 0) {
				t.Errorf("%+v", n)
			}
			if _, n, err := parseCPUInfo(strings.NewReader(s)); err == nil && n < 1 {
				t.Errorf("%d CPUs", n)
			}
			table := tcpTable{listeners: make(map[uint64]Listener), established: make(map[uint16]int)}
			if err := table.parse(strings.NewReader(s)); err == nil {
				for _, l := range table.listeners {
					if l.Queued < 0 || !l.Addr.IsValid() {
						t.Errorf("%+v", l)
					}
				}
			}
			if n, err := parseFileNr(s); err == nil && n.Allocated < 0 {
				t.Errorf("%+v", n)
			}
			if _, threads, err := parseStatus(s); err == nil && threads < 1 {
				t.Errorf("%d threads", threads)
			}
			if st, err := parseStat(s); err == nil && st.rssPages < 0 {
				t.Errorf("%+v", st)
			}
			parseCapBnd(strings.NewReader(s))
			unitOf(parseCgroupPaths(s))
		}
	})
}

// Whatever the files of control groups say, a limit is one, and not exceeded by
// nothing.
func FuzzCgroup(f *testing.F) {
	f.Add("0::/a", "1000", "500", "inactive_file 100\n", "oom_kill 1\n")
	f.Add("0::/../..", "max", "-5", "inactive_file 9999999999999999999\n", "oom_kill -1\n")
	f.Fuzz(func(t *testing.T, paths, most, use, stat, events string) {
		dir := "sys/fs/cgroup/"
		c, _, err := readCgroup(write(t, map[string]string{
			"proc/7/cgroup": paths, dir + "memory.max": most, dir + "memory.current": use, dir + "memory.stat": stat, dir + "memory.events": events,
		}), 7)
		if l := c.Memory; err == nil && (l.Max < Unlimited || l.InUse < 0 || l.Hits.V < 0 || l.Max != Unlimited && l.Source == "") {
			t.Errorf("%+v", l)
		}
	})
}

// Files that prometheus/procfs reads may hold anything, too.
func FuzzProcFiles(f *testing.F) {
	f.Add("7 (a) S 1 7 7 0 -1 4194304 1 0 0 0 50 10 0 0 20 0 2 0 100 1000000 5000", "TCP: inuse 5 orphan 0 tw 0 alloc 6 mem 1\n")
	f.Add("7 )(", "TCP: inuse")
	f.Add("7 (a)", "sockets: used 1\nTCP: inuse x")
	f.Fuzz(func(t *testing.T, stat, sockstat string) {
		r := write(t, map[string]string{"proc/7/stat": stat, "proc/7/fd/0": "", "proc/net/sockstat": sockstat})
		ReadUsage(r, 7)
		ReadSockstat(r)
	})
}

// TestKubeProxy: it is known by its name, and by that of the k3s that has it inside.
func TestKubeProxy(t *testing.T) {
	for name, want := range map[string]bool{"kube-proxy": true, "k3s-server": true, "kube-apiserver": false} {
		if f := gather(t, host(t, factstest.Process{PID: 70, Args: []string{name}}), Asked{}); !f.KubeProxy.Known() || f.KubeProxy.V != want {
			t.Errorf("%s: %+v", name, f.KubeProxy)
		}
	}
	if f := gather(t, write(t, map[string]string{"etc/os-release": ""}), Asked{}); !f.KubeProxy.Known() || f.KubeProxy.V {
		t.Errorf("files alone: %+v", f.KubeProxy)
	}
}
