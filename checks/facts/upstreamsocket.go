package facts

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/fltool/fltool/nginx"
)

// UpstreamSocket is a unix socket that nginx passes requests to.
type UpstreamSocket struct {
	Path string `json:"path"`
	// Refused says why nginx's processes may not connect to it: "" where they may.
	Refused string `json:"refused,omitempty"`
	User    string `json:"user"` // whom nginx's processes run as
	Mode    string `json:"mode"` // "srw-rw---- fl:fl"
}

// readUpstreamSockets looks at the sockets that polls go to. One that is not there
// yet is unknown.
func readUpstreamSockets(r Root, n *Nginx) map[string]Value[UpstreamSocket] {
	found := map[string]Value[UpstreamSocket]{}
	for i := range n.Sites {
		at := n.Sites[i].At(RoutePoll)
		if at == nil || at.Upstream == nil {
			continue
		}
		for _, p := range at.Upstream.Peers {
			if path, ok := strings.CutPrefix(p.Address, "unix:"); ok {
				s, err := readUpstreamSocket(r, path, n.Main.User)
				if found[path] = known(s, path); err != nil {
					found[path] = unknown[UpstreamSocket](err)
				}
			}
		}
	}
	return found
}

func readUpstreamSocket(r Root, path string, user nginx.Value[string]) (UpstreamSocket, error) {
	if !user.Known() {
		return UpstreamSocket{}, fmt.Errorf("whom nginx's processes run as: %s", user.Err)
	}
	a, err := readAccount(r, user.V)
	if err != nil {
		return UpstreamSocket{}, err
	}
	s := UpstreamSocket{Path: path, User: a.name}
	// Each directory on the way must be open to it, and the socket be writable.
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range parts {
		name := "/" + strings.Join(parts[:i+1], "/")
		at, err := r.Path(name)
		if err != nil {
			return s, err
		}
		info, err := os.Stat(at)
		if err != nil {
			return s, rename(err, name)
		}
		want := fs.FileMode(1) // search
		if i == len(parts)-1 {
			want = 2 // write
			if info.Mode()&fs.ModeSocket == 0 {
				return s, fmt.Errorf("%s is no socket", name)
			}
		}
		owner, group := owners(r, info)
		mode := fmt.Sprintf("%v %s:%s", info.Mode(), owner, group)
		if s.Mode = mode; a.uid != 0 && info.Mode().Perm()&want<<classOf(a, owner, group) == 0 {
			s.Refused = fmt.Sprintf("%s (%s) is closed to %s", name, mode, a.name)
			return s, nil
		}
	}
	return s, nil
}

// classOf is the shift of the permission bits that count for an account.
func classOf(a account, owner, group string) int {
	switch {
	case owner == a.name:
		return 6
	case slices.Contains(a.groups, group):
		return 3
	}
	return 0
}

// owners are a file's user and group by name; a number where it has none.
func owners(r Root, info fs.FileInfo) (user, group string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "?", "?"
	}
	user, group = strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
	if b, err := r.ReadFile("/etc/passwd"); err == nil {
		if a, ok := parsePasswd(string(b), user); ok {
			user = a.name
		}
	}
	if b, err := r.ReadFile("/etc/group"); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Split(line, ":"); len(f) > 2 && f[2] == group {
				group = f[0]
			}
		}
	}
	return user, group
}
