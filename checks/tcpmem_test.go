package checks

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// The kernel begins to take back what sockets buffer at the middle one of tcp_mem's
// three, in pages: each of 1000 polls has three sockets, two of nginx's and one of the
// application's, with a page on each, beside the seven that are in use.
func TestTCPMemPressure(t *testing.T) {
	check, ok := ByID("host/tcp-mem")
	if !ok {
		t.Fatal("there is no such check")
	}
	for pages, status := range map[[3]int64]reports.Status{
		{1, 3007, 1 << 30}:       reports.StatusPass,
		{1, 3006, 1 << 30}:       reports.StatusFail,
		{3007, 3006, 1 << 30}:    reports.StatusFail,
		{1, 3007, 3007}:          reports.StatusPass,
		{1 << 20, 5, 1 << 30}:    reports.StatusFail,
		{1 << 20, 1 << 20, 3007}: reports.StatusPass,
	} {
		f := tuned()
		f.Sysctls.TCPMem.V = pages
		f.Sockets.V.MemBytes = 7 * f.Sockets.V.PageBytes
		o := check.Eval(check.cases(OneHost(f), demand)[0])
		if o.Status != status {
			t.Errorf("%v is a %s: %+v", pages, o.Status, o)
		}
		if o.Status == reports.StatusFail && !strings.Contains(strings.Join(o.Remedy.Commands, " ")+o.Remedy.Text+fileLines(o.Remedy), "net.ipv4.tcp_mem = 3007 6014 12028") {
			t.Errorf("%v: the remedy is %+v", pages, o.Remedy)
		}
	}
}

func fileLines(r reports.Remedy) (all string) {
	for _, f := range r.Files {
		all += strings.Join(f.Lines, "\n")
	}
	return all
}
