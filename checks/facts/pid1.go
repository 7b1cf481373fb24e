package facts

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// capSysResource lets a process raise its hard limits.
const capSysResource = 24

// readMayRaise says whether any process here can raise a hard limit: PID 1's
// bounding set bounds everybody's, in a container too.
func readMayRaise(r Root) (bool, error) {
	const path = "/proc/1/status"
	f, err := r.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	set, err := parseCapBnd(f)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return set&(1<<capSysResource) != 0, nil
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
