package facts

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sysctls are the kernel settings that bear on held polls: the running values,
// or, where the root has no /proc/sys, what its sysctl.d would set.
type Sysctls struct {
	NROpen        Value[int64]    `json:"fs.nr_open"`                   // ceiling of any NOFILE
	FileMax       Value[int64]    `json:"fs.file-max"`                  // descriptors of the whole host
	SoMaxConn     Value[int64]    `json:"net.core.somaxconn"`           // ceiling of any accept queue
	SynBacklog    Value[int64]    `json:"net.ipv4.tcp_max_syn_backlog"` // half-open connections
	SynCookies    Value[int64]    `json:"net.ipv4.tcp_syncookies"`      // 0 is off
	TWReuse       Value[int64]    `json:"net.ipv4.tcp_tw_reuse"`        // 0 never, 1 always, 2 on loopback
	KeepaliveTime Value[int64]    `json:"net.ipv4.tcp_keepalive_time"`  // seconds of silence before the first probe
	TCPMem        Value[[3]int64] `json:"net.ipv4.tcp_mem"`             // pages: low, pressure, most
	PIDMax        Value[int64]    `json:"kernel.pid_max"`
	ThreadsMax    Value[int64]    `json:"kernel.threads-max"`
}

// sysctlDirs are systemd-sysctl's, in order of precedence between files of one
// name. /etc/sysctl.conf counts only where sysctl.d links to it.
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// sysctlDefaults are the built-in values that no version or size changes. Where
// files alone are read and none sets a key, only these are known.
var sysctlDefaults = map[string]string{
	"fs.nr_open":                       "1048576",
	"net.ipv4.ip_local_port_range":     "32768 60999",
	"net.ipv4.ip_local_reserved_ports": "",
	"net.ipv4.tcp_syncookies":          "1",
	"net.ipv4.tcp_keepalive_time":      "7200",
}

// readSysctls reads all of them, and the port range that two of them make.
func readSysctls(r Root) (Sysctls, Value[PortRange]) {
	get := sysctlReader(r)
	number := func(key string) Value[int64] {
		return convert(get(key), func(s string) (int64, error) {
			// fs.file-max is unsigned and as good as infinite on newer hosts
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %q is no count", key, s)
			}
			return int64(min(n, 1<<62)), nil
		})
	}
	s := Sysctls{
		NROpen:        number("fs.nr_open"),
		FileMax:       number("fs.file-max"),
		SoMaxConn:     number("net.core.somaxconn"),
		SynBacklog:    number("net.ipv4.tcp_max_syn_backlog"),
		SynCookies:    number("net.ipv4.tcp_syncookies"),
		TWReuse:       number("net.ipv4.tcp_tw_reuse"),
		KeepaliveTime: number("net.ipv4.tcp_keepalive_time"),
		PIDMax:        number("kernel.pid_max"),
		ThreadsMax:    number("kernel.threads-max"),
		TCPMem:        convert(get("net.ipv4.tcp_mem"), parseTCPMem),
	}
	if !s.TCPMem.Known() && r.Exists("/proc/sys/net/core") && !r.Exists("/proc/sys/net/ipv4/tcp_mem") {
		s.TCPMem.Err = "the host's, and not shown in a container"
	}
	reserved := get(ReservedPorts)
	ports := convert(get("net.ipv4.ip_local_port_range"), func(span string) (PortRange, error) {
		if !reserved.Known() {
			return PortRange{}, fmt.Errorf("%s", reserved.Why())
		}
		return parsePortRange(span, reserved.V)
	})
	return s, ports
}

// readFixed says whether nothing here can change the kernel's settings. How a
// root's files are mounted here tells nothing of the host: there a container
// without CAP_SYS_ADMIN can't.
func readFixed(r Root, container Value[bool]) Value[bool] {
	const dir = "/proc/sys"
	if !r.Host() {
		if caps, err := readCapBnd(r); err == nil && container.V && caps&(1<<capSysAdmin) == 0 {
			return known(true, "/proc/1/status")
		}
		return known(false, r.String()+" is not the running host")
	}
	return read(dir, func() (bool, error) {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return false, fmt.Errorf("%s: %w", dir, err)
		}
		const readOnly = 1 // ST_RDONLY, which x/sys has for Linux alone
		return st.Flags&readOnly != 0, nil
	})
}

// Persisted is a setting that sysctl.d makes when the host starts.
type Persisted struct {
	Key     string        `json:"key"`
	Value   string        `json:"value"`
	Source  string        `json:"source"`  // file:line
	Running Value[string] `json:"running"` // what the kernel has now
}

// watched are the settings that bear on held polls.
var watched = []string{
	"fs.nr_open", "fs.file-max", "net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_mem", "net.ipv4.ip_local_port_range", ReservedPorts,
	"kernel.pid_max", "kernel.threads-max", "net.netfilter.nf_conntrack_max",
}

// Keys of settings that name others.
const (
	ReservedPorts = "net.ipv4.ip_local_reserved_ports"
	sysctlConf    = "/etc/sysctl.conf"
)

// readPersisted reads what the files set of the watched settings, and beside it
// what the kernel has now.
func readPersisted(r Root) Value[[]Persisted] {
	set, err := mergeSysctlFiles(r)
	if err != nil {
		return unknown[[]Persisted](err)
	}
	out := []Persisted{}
	for _, key := range watched {
		v, ok := set[key]
		if !ok {
			continue
		}
		p := Persisted{Key: key, Value: v.V, Source: v.Source, Running: Value[string]{Err: "no running kernel to ask"}}
		if name := "/proc/sys/" + strings.ReplaceAll(key, ".", "/"); r.Exists("/proc/sys") {
			p.Running = read(name, func() (string, error) { return r.ReadString(name) })
		}
		out = append(out, p)
	}
	return known(out, sysctlDirs[0])
}

// sysctlReader gives a setting's text by its dotted key.
func sysctlReader(r Root) func(key string) Value[string] {
	if r.Exists("/proc/sys") {
		return func(key string) Value[string] {
			name := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
			return read(name, func() (string, error) { return r.ReadString(name) })
		}
	}
	set, err := mergeSysctlFiles(r)
	return func(key string) Value[string] {
		if err != nil {
			return unknown[string](err)
		}
		if v, ok := set[key]; ok {
			return v
		}
		if v, ok := sysctlDefaults[key]; ok {
			return known(v, "kernel default")
		}
		return unknown[string](fmt.Errorf("%s: not in sysctl.d, and there is no running kernel to ask", key))
	}
}

// mergeSysctlFiles is what systemd-sysctl would set: files of all directories
// by name, one masking those of its name in later directories; the last line wins.
// OpenRC's service reads /etc/sysctl.conf last.
func mergeSysctlFiles(r Root) (map[string]Value[string], error) {
	files, err := mergeDirs(r, sysctlDirs, ".conf")
	if err != nil {
		return nil, err
	}
	if r.Exists("/etc/runlevels") && r.Exists(sysctlConf) {
		files = append(files, sysctlConf)
	}
	set := make(map[string]Value[string])
	for _, name := range files {
		b, err := r.ReadFile(name)
		if err != nil {
			if absent(err) { // a link to nothing
				continue
			}
			return nil, err
		}
		for _, s := range parseSysctlFile(string(b)) {
			set[s.key] = known(s.value, fmt.Sprintf("%s:%d", name, s.line))
		}
	}
	return set, nil
}

// masked tells a link to /dev/null, by which an administrator takes a file out.
func masked(r Root, file string) bool {
	target, err := r.Readlink(file)
	return err == nil && path.Clean(target) == "/dev/null"
}

// mergeDirs lists the files with a suffix in several directories by base name;
// of files with one name the first directory's counts, and where that is masked none.
func mergeDirs(r Root, dirs []string, suffix string) ([]string, error) {
	byName := make(map[string]string)
	for _, dir := range dirs {
		names, err := r.ReadDir(dir)
		if err != nil && !absent(err) {
			return nil, err
		}
		for _, name := range names {
			if _, taken := byName[name]; !taken && strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, ".") {
				byName[name] = path.Join(dir, name)
			}
		}
	}
	var out []string
	for _, p := range byName {
		if !masked(r, p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return out, nil
}

type sysctlLine struct {
	key, value string
	line       int
}

// parseSysctlFile reads "key = value" lines; a key may start with "-" (failure
// is fine) and use slashes, and then dots belong to names.
func parseSysctlFile(text string) []sysctlLine {
	var out []sysctlLine
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key = strings.TrimPrefix(strings.TrimSpace(key), "-")
		if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '/' {
			key = strings.NewReplacer("/", ".", ".", "/").Replace(key)
		}
		out = append(out, sysctlLine{key: key, value: strings.TrimSpace(value), line: n})
	}
	return out
}

func parseTCPMem(s string) (v [3]int64, err error) {
	f := strings.Fields(s)
	if len(f) != 3 {
		return v, fmt.Errorf("net.ipv4.tcp_mem: %q is not three sizes", s)
	}
	for i := range f {
		if v[i], err = strconv.ParseInt(f[i], 10, 64); err != nil || v[i] < 0 {
			return v, fmt.Errorf("net.ipv4.tcp_mem: %q is no size", f[i])
		}
	}
	return v, nil
}

// convert parses a known text and keeps its source.
func convert[A, B any](v Value[A], f func(A) (B, error)) Value[B] {
	if !v.Known() {
		return Value[B]{Err: v.Why()}
	}
	b, err := f(v.V)
	if err != nil {
		return Value[B]{Err: fmt.Sprintf("%s: %v", v.Source, err)}
	}
	return known(b, v.Source)
}
