package facts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// account is a line of /etc/passwd with the groups of /etc/group.
type account struct {
	name     string
	uid, gid int
	groups   []string
}

// readAccount finds a user by name or, where name is a number, by id. Users of
// a directory service are not found, which is an error: nothing is guessed.
func readAccount(r Root, name string) (account, error) {
	b, err := r.ReadFile("/etc/passwd")
	if err != nil {
		return account{}, err
	}
	a, ok := parsePasswd(string(b), name)
	if !ok {
		return account{}, fmt.Errorf("user %s is not in /etc/passwd", name)
	}
	if b, err = r.ReadFile("/etc/group"); err != nil {
		return account{}, err
	}
	a.groups = parseGroups(string(b), a)
	return a, nil
}

func parsePasswd(text, name string) (account, bool) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] != name && f[2] != name {
			continue
		}
		uid, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		gid, err := strconv.Atoi(f[3])
		if err != nil {
			continue
		}
		return account{name: f[0], uid: uid, gid: gid}, true
	}
	return account{}, false
}

// parseGroups lists the names of the groups that a is in.
func parseGroups(text string, a account) []string {
	var out []string
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 {
			continue
		}
		if gid, err := strconv.Atoi(f[2]); err == nil && gid == a.gid || slices.Contains(strings.Split(f[3], ","), a.name) {
			out = append(out, f[0])
		}
	}
	return out
}
