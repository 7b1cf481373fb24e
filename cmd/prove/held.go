package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// held counts the polls that the application holds now: connections to its port.
func (r *room) held() (int, error) {
	to := fmt.Sprintf(":%04X", appPort)
	return established(func(f []string) bool { return strings.HasSuffix(f[2], to) })
}

// accepted counts the connections to a port that its server has taken from the
// accept queue: those in it have no inode yet.
func accepted(port int) (int, error) {
	at := fmt.Sprintf(":%04X", port)
	return established(func(f []string) bool { return strings.HasSuffix(f[1], at) && f[9] != "0" })
}

// established counts the room's established connections that match by the fields
// of /proc/net/tcp: "sl local remote state tx:rx timer retransmits uid timeout
// inode …", where state 01 is established.
func established(match func([]string) bool) (int, error) {
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	defer table.Close()
	n := 0
	sc := bufio.NewScanner(table)
	for sc.Scan() {
		if f := strings.Fields(sc.Text()); len(f) > 9 && f[3] == "01" && match(f) {
			n++
		}
	}
	return n, sc.Err()
}
