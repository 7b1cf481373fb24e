package facts

import "fmt"

// A ceiling is what bounds the limits that a service manager can give.
type ceiling struct {
	nrOpen   Value[int64]
	own      Value[Bound] // NOFILE of the manager itself
	mayRaise Value[bool]  // above its own hard limit
}

// oldManagersOwn is what systemd raised its own NOFILE to before 240; from then
// on it is fs.nr_open.
const oldManagersOwn = 65536

// managersOwn is PID 1's NOFILE, where it does not run what systemd would raise it to.
func managersOwn(pid1 Value[Limits], nrOpen Value[int64], version Value[int], o Value[OS]) Value[Bound] {
	el8 := o.Known() && o.V.enterprise() && o.V.Major() == 8
	switch {
	case pid1.Known():
		return known(pid1.V.NoFile, pid1.Source)
	case !version.Known():
		return Value[Bound]{Err: pid1.Why() + ", and " + version.Why()}
	case version.V < 240 && !el8:
		return known(Bound{oldManagersOwn, oldManagersOwn}, version.Source)
	case !nrOpen.Known():
		return Value[Bound]{Err: nrOpen.Why()}
	}
	return known(Bound{Limit(nrOpen.V), Limit(nrOpen.V)}, nrOpen.Source)
}

// grant is what a service gets that asks for a limit, as systemd's
// setrlimit_closest and the kernel have it: above fs.nr_open, and without
// CAP_SYS_RESOURCE above the manager's own, it is cut to the manager's own hard
// limit. Where that is above fs.nr_open itself the service does not start
// (status=205/LIMITS), and refused says so.
func (k ceiling) grant(ask Bound) (got Bound, refused string, err error) {
	if !k.nrOpen.Known() {
		return Bound{}, "", fmt.Errorf("fs.nr_open: %s", k.nrOpen.Why())
	}
	nr := Limit(k.nrOpen.V)
	above := ask.Hard == Unlimited || ask.Hard > nr
	capped := k.mayRaise.Known() && !k.mayRaise.V && k.own.Known() && less(k.own.V.Hard, ask.Hard)
	if !above && !capped {
		return ask, "", nil
	}
	if !k.own.Known() {
		return Bound{}, "", fmt.Errorf("%v is above fs.nr_open %v, and what the manager itself has is not known: %s", ask.Hard, nr, k.own.Why())
	}
	got = Bound{least(ask.Soft, k.own.V.Hard), least(ask.Hard, k.own.V.Hard)}
	if got == k.own.V && got.Hard != Unlimited {
		return got, "", nil // it has that already
	}
	if got.Hard == Unlimited || got.Hard > nr {
		return Bound{}, fmt.Sprintf("NOFILE %v is above fs.nr_open %v: systemd does not start it (status=205/LIMITS)", ask.Hard, nr), nil
	}
	return got, "", nil
}

// less says whether a is the smaller limit.
func less(a, b Limit) bool { return a != Unlimited && (b == Unlimited || a < b) }

func least(a, b Limit) Limit {
	if less(b, a) {
		return b
	}
	return a
}
