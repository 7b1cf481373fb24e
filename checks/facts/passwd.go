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
	home     string
	uid, gid int
	groups   []string // by name
	gids     []int    // the same, by id
}

func (a account) uidText() string { return strconv.Itoa(a.uid) }

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
	a.groups, a.gids = parseGroups(string(b), a)
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
		a := account{name: f[0], uid: uid, gid: gid}
		if len(f) > 5 {
			a.home = f[5]
		}
		return a, true
	}
	return account{}, false
}

// parseGroups lists the groups that a is in: its own and those that name it.
func parseGroups(text string, a account) (names []string, gids []int) {
	gids = append(gids, a.gid)
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 {
			continue
		}
		gid, err := strconv.Atoi(f[2])
		if err == nil && gid == a.gid || slices.Contains(strings.Split(f[3], ","), a.name) {
			names = append(names, f[0])
			if err == nil {
				gids = append(gids, gid)
			}
		}
	}
	return names, gids
}
