package facts

import (
	"slices"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
)

func TestReadTree(t *testing.T) {
	r := host(t,
		factstest.Process{PID: 10, Args: []string{"gunicorn"}}, factstest.Process{PID: 12, PPID: 10, Args: []string{"gunicorn"}},
		factstest.Process{PID: 13, PPID: 10, Args: []string{"gunicorn"}}, factstest.Process{PID: 14, PPID: 13, Args: []string{"helper"}},
		factstest.Process{PID: 20, Args: []string{"nginx"}},
	)
	for pid, want := range map[int][]int{10: {10, 12, 13, 14}, 13: {13, 14}, 20: {20}} {
		got, err := ReadTree(r, pid)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: %v, %v; want %v", pid, got, err, want)
		}
	}
	if tree, err := ReadTree(r, 99); err == nil {
		t.Errorf("no process 99 has the tree %v", tree)
	}
}
