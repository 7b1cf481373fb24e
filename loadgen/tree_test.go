package loadgen

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/facts/factstest"
)

// TestTreeIsListed anew where a process was started since, or nobody knows, and only then.
func TestTreeIsListed(t *testing.T) {
	dir := factstest.Host(t, factstest.Process{PID: 10, Args: []string{"gunicorn"}})
	tr := tree{root: facts.NewRoot(dir), pid: 10}
	for _, step := range []struct {
		starts  int // a worker of that number, 0 for none
		newest  string
		members []int
	}{
		{0, "0 0 0 1/80 10", []int{10}},
		{0, "0 0 0 1/80 10", []int{10}},
		{11, "0 0 0 1/80 10", []int{10}}, // as if none had been
		{0, "0 0 0 1/80 11", []int{10, 11}},
		{14, "0 0 0 1/80 11", []int{10, 11, 14}}, // it had a number, and was not listed yet
		{0, "0 0 0 1/80 11", []int{10, 11, 14}},
		{12, "", []int{10, 11, 12, 14}},
		{13, "", []int{10, 11, 12, 13, 14}},
	} {
		if step.starts > 0 {
			if err := (factstest.Process{PID: step.starts, PPID: 10, Args: []string{"gunicorn"}}).Write(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "proc/loadavg"), []byte(step.newest), 0o600); err != nil {
			t.Fatal(err)
		}
		tr.listed = time.Time{} // long ago
		if _, err := tr.read(); err != nil {
			t.Fatal(err)
		}
		if slices.Sort(tr.members); !slices.Equal(tr.members, step.members) {
			t.Errorf("%+v: %v", step, tr.members)
		}
	}
}
