package facts

import (
	"fmt"
	"strconv"
)

// userCeiling bounds what a user's manager gives: it may not raise its own hard
// limit. Where it does not run it is what user@.service would start it with.
func (s services) userCeiling(user string) ceiling {
	top := ceiling{nrOpen: s.pid1.nrOpen, mayRaise: known(false, "a user's manager")}
	a, err := readAccount(s.r, user)
	if err != nil {
		top.own = unknown[Bound](err)
		return top
	}
	if pid := s.userManagerPID(a.uidText()); pid != 0 {
		top.own = convert(read(limitsPath(pid), func() (Limits, error) { return ReadLimits(s.r, pid) }), func(l Limits) (Bound, error) { return l.NoFile, nil })
		return top
	}
	u, err := s.unit(systemManager, "user@"+a.uidText()+".service")
	if err != nil {
		top.own = unknown[Bound](fmt.Errorf("limits of the manager of %s: %w", user, err))
		return top
	}
	top.own = u.NoFile
	return top
}

// userManagerPID finds a user's running systemd; 0: none is to be seen.
func (s services) userManagerPID(uid string) int {
	names, err := s.r.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 1 {
			continue
		}
		if comm, err := s.r.ReadString("/proc/" + name + "/comm"); err != nil || comm != "systemd" {
			continue
		}
		if text, err := s.r.ReadString("/proc/" + name + "/status"); err == nil {
			if owner, _, err := parseStatus(text); err == nil && owner == uid {
				return pid
			}
		}
	}
	return 0
}
