package facts

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/fltool/fltool/nginx"
)

// Value is a fact that may be unknown, with the place it was read from:
// "/proc/sys/fs/nr_open", "/etc/sysctl.d/60-fl.conf:3", "built-in default". It is the
// type of nginx's settings, too, so that one rule says what is known.
type Value[T any] = nginx.Value[T]

// known is a fact read from source.
func known[T any](v T, source string) Value[T] { return Value[T]{V: v, Source: source} }

// unknown is a fact that could not be had, and why.
func unknown[T any](err error) Value[T] { return Value[T]{Err: err.Error()} }

// read is the fact that f gives for the file at path.
func read[T any](path string, f func() (T, error)) Value[T] {
	v, err := f()
	if err != nil {
		return unknown[T](err)
	}
	return known(v, path)
}

// Absent tells a file that is not there from one that can't be read.
func Absent(err error) bool { return absent(err) }

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Limit is a resource limit or a kernel's maximum; Unlimited where there is none.
type Limit int64

// Unlimited is the Limit that never binds.
const Unlimited Limit = -1

// Below says whether l is smaller than n.
func (l Limit) Below(n int64) bool { return l != Unlimited && int64(l) < n }

func (l Limit) String() string {
	if l == Unlimited {
		return "unlimited"
	}
	return strconv.FormatInt(int64(l), 10)
}

// parseLimit reads a count, or one of the kernel's and systemd's words for none.
func parseLimit(s string) (Limit, error) {
	switch s {
	case "unlimited", "infinity", "max":
		return Unlimited, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no limit", s)
	}
	if n > 1<<62 { // RLIM_INFINITY and the kernel's other ways to say "none"
		return Unlimited, nil
	}
	return Limit(n), nil
}
