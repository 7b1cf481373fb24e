package facts

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// distrust says why nothing is read that a process of this host names in its title;
// nil where it may be. A title is what its owner likes: only root's and the asking
// user's own are believed, and of those only who sees the same files. Below another
// root nobody's word leads out of it.
func distrust(r Root, pid int) error {
	if !r.Host() {
		return nil
	}
	file := fmt.Sprintf("/proc/%d/status", pid)
	status, err := r.ReadString(file)
	if err != nil {
		return err
	}
	uids, _ := parseIDs(status)
	me := fmt.Sprint(os.Geteuid())
	// A program that is setuid has a real user who chose its arguments.
	if len(uids) != 4 || len(slices.Compact(uids)) != 1 || uids[0] != "0" && uids[0] != me {
		return fmt.Errorf("process %d is another user's, and its title may name any file", pid)
	}
	return elsewhere(r, pid)
}

// elsewhere says that a process of this host is in a container, so that the files
// that it names are not the host's; nil where they are.
func elsewhere(r Root, pid int) error {
	if !r.Host() {
		return nil
	}
	status, err := r.ReadString(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	if _, nested := parseIDs(status); nested {
		return errElsewhere(pid)
	}
	for _, kind := range []string{"mnt", "user"} {
		theirs, err := r.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		ours, ourErr := r.Readlink("/proc/self/ns/" + kind)
		switch {
		case err != nil && os.Geteuid() != 0: // hidden from who may read no more than its own anyway
		case err != nil:
			return err
		case ourErr != nil:
			return ourErr
		case theirs != ours:
			return errElsewhere(pid)
		}
	}
	return nil
}

func errElsewhere(pid int) error {
	return fmt.Errorf("process %d runs in a container, and the files that it names are not this host's", pid)
}

// parseIDs reads the four user ids of a process, and whether it is in a namespace
// of processes of its own.
func parseIDs(status string) (uids []string, nested bool) {
	for line := range strings.Lines(status) {
		switch f := strings.Fields(line); {
		case len(f) > 1 && f[0] == "Uid:":
			uids = f[1:]
		case len(f) > 2 && f[0] == "NSpid:":
			nested = true
		}
	}
	return uids, nested
}
