package facts

import (
	"path"

	"golang.org/x/sys/unix"
)

// Disk is the room on a file system.
type Disk struct {
	Path      string `json:"path"`
	FreeBytes int64  `json:"freeBytes"` // to whoever is not root
}

// readBodyDisk is where nginx spills bodies of updates to. The path of the
// build, where no site sets one.
func readBodyDisk(r Root, n *Nginx) Value[Disk] {
	dir := n.Build.ClientBodyTempPath
	for _, s := range n.Sites {
		if l := s.At(RouteUpdate); l != nil && l.ClientBodyTempPath.Known() && l.ClientBodyTempPath.V != "" {
			dir = l.ClientBodyTempPath.V
		}
	}
	if dir == "" {
		return Value[Disk]{Err: "client_body_temp_path is chosen when nginx is built; nginx -V was not seen"}
	}
	if !path.IsAbs(dir) {
		dir = path.Join(n.Build.Prefix, dir)
	}
	for !r.Exists(dir) && dir != "/" { // nginx makes it when it starts
		dir = path.Dir(dir)
	}
	at, err := r.Path(dir)
	if err != nil {
		return unknown[Disk](err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return unknown[Disk](err)
	}
	free := min(st.Bavail, 1<<61/uint64(max(st.Bsize, 1)))
	return known(Disk{Path: dir, FreeBytes: int64(free) * int64(st.Bsize)}, dir)
}
