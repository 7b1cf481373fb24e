package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// classInvalid is the report's class of workers whose signature was not accepted.
const classInvalid = "invalid worker"

// hint says which flag a run of a target would have needed; "" if none is to blame.
func (f *loadFlags) hint(r reports.Report) (string, error) {
	if f.target == "" {
		return "", nil
	}
	if f.unsafe && slices.ContainsFunc(r.Errors, func(e reports.ErrorClass) bool { return e.Class == classInvalid }) {
		return "the server has a key list: use --keys DIR instead of --unsafe", nil
	}
	n := len(r.Rounds)
	if f.keys == "" || n == 0 || !r.Rounds[n-1].Open {
		return "", nil
	}
	keys, err := countKeys(f.keys)
	if err != nil || keys <= f.workers {
		return "", err
	}
	return fmt.Sprintf("%s has %d keys and --workers is %d: a server whose round ends with all of them waits for the others", f.keys, keys, f.workers), nil
}

// nameCause puts the limit that a failed run shows before its victims: what stands
// first among these is who came upon it first.
func nameCause(r *reports.Report) {
	if r.Verdict != reports.VerdictFail || r.Shard != nil || r.Drill != nil {
		return
	}
	b := checks.Bind(*r, nil)
	switch b.Limit {
	case "", checks.BindingPlaces, checks.BindingLatency: // a reason already
		return
	}
	r.Reasons = slices.Insert(r.Reasons, 0, fmt.Sprintf("%s: %s", b.Limit, b.Evidence[0]))
}

// countKeys is how many workers, counted from 0, have a private key in the folder.
func countKeys(dir string) (int, error) {
	for n := 0; ; n++ {
		if _, err := os.Stat(wire.KeyFile(dir, n)); errors.Is(err, fs.ErrNotExist) {
			return n, nil
		} else if err != nil {
			return n, usageError("", "--keys: %v", err)
		}
	}
}
