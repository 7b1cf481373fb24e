package kinds

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// programAt finds the argument that is one of the programs of these names: the
// program itself, the script of a Python interpreter, or its "-m" module, perhaps
// started by env. -1: it is none.
func programAt(args []string, names ...string) int {
	i := 0
	if path.Base(args[0]) == "env" {
		for i++; i < len(args) && strings.Contains(args[i], "="); i++ {
		}
	}
	if i < len(args) && isPython(args[i]) {
		i = scriptAt(args, i+1)
	}
	if i < len(args) && slices.Contains(names, path.Base(args[i])) {
		return i
	}
	return -1
}

// scriptAt is where a Python interpreter's own flags end: at the script, or at the
// module after -m. Beyond the end: it runs neither.
func scriptAt(args []string, i int) int {
	for ; i < len(args) && strings.HasPrefix(args[i], "-"); i++ {
		switch flag := args[i]; {
		case flag == "-W" || flag == "-X":
			i++
		case strings.HasPrefix(flag, "-W") || strings.HasPrefix(flag, "-X") || strings.HasPrefix(flag, "--"):
		case strings.HasSuffix(flag, "m"): // -m, or -um
			return i + 1
		case strings.HasSuffix(flag, "c"):
			return len(args)
		}
	}
	return i
}

// isPython tells an interpreter of Python by its file.
func isPython(program string) bool {
	base := path.Base(program)
	return strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
}

// held is what a poll costs, in KiB: at best what was measured of a trivial
// application, at most that and what dc_federated itself keeps of a worker.
func held(least int64, download float64) Answer[Cost] {
	most := least + appKeeps
	return is(Cost{Most: most << 10, Least: least << 10, Download: download}, fmt.Sprintf("%d to %d KiB a poll", least, most),
		"measured: 200 polls of a trivial application, and of dc_federated on gunicorn")
}

// appKeeps is what dc_federated keeps of a worker, in KiB: 38 on gunicorn's gevent,
// where a trivial application takes 16.
const appKeeps = 22

// The costs of a poll by how it is held, as measured on Linux 6.18 with Python 3.11.
var (
	threadCost    = held(threadKiB, 1.1)
	grpcCost      = held(82, 2.1)        // a thread and a connection; a message is copied once
	waitressCost  = held(threadKiB, 3.2) // a download is in a file as well
	uvicornCost   = held(14, 1.1)        // with httptools or h11, and as gunicorn's worker
	hypercornCost = held(22, 1.4)
	nodeCost      = held(36, 1.1) // Node.js 20
)

// threadKiB is what a thread takes that holds a poll, the kernel's part included: of
// gunicorn's gthread and of Flask's server 65 KiB.
const threadKiB = 66
