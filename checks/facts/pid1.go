package facts

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Capabilities by number: the first lets a process raise its hard limits, the
// second change the kernel's settings.
const (
	capSysResource = 24
	capSysAdmin    = 21
)

// readMayRaise says whether any process here can raise a hard limit: PID 1's
// bounding set bounds everybody's, in a container too. In a user namespace nobody
// can, whatever the set holds: the kernel asks the first namespace's.
func readMayRaise(r Root) (bool, error) {
	set, err := readCapBnd(r)
	if err != nil {
		return false, err
	}
	text, err := r.ReadString(uidMapPath)
	if err != nil && !absent(err) {
		return false, err
	}
	return set&(1<<capSysResource) != 0 && (err != nil || wholeUIDMap(text)), nil
}

const uidMapPath = "/proc/1/uid_map"

// wholeUIDMap says whether a map of user ids is that of the first namespace: all
// ids, each to itself.
func wholeUIDMap(text string) bool {
	f := strings.Fields(text)
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}

func readCapBnd(r Root) (uint64, error) {
	const path = "/proc/1/status"
	f, err := r.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	set, err := parseCapBnd(f)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}

func parseCapBnd(rd io.Reader) (uint64, error) {
	sc := bufio.NewScanner(rd)
	for sc.Scan() {
		if v, ok := strings.CutPrefix(sc.Text(), "CapBnd:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("CapBnd: %q is no set", strings.TrimSpace(v))
			}
			return n, nil
		}
	}
	if err := sc.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("no line CapBnd")
}

// readSystemd says whether systemd manages the host: PID 1's name where it
// runs, else whether /sbin/init is systemd.
func readSystemd(r Root) Value[bool] {
	const comm = "/proc/1/comm"
	name, err := r.ReadString(comm)
	if err == nil {
		return known(name == "systemd", comm)
	}
	if !absent(err) {
		return unknown[bool](err)
	}
	for _, path := range []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"} {
		if r.Exists(path) {
			return known(true, path)
		}
	}
	if r.Exists("/etc/systemd/system") {
		return known(true, "/etc/systemd/system")
	}
	return known(false, "no systemd below "+r.String())
}
