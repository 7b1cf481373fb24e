package kinds

import (
	"path"
	"slices"
	"strings"
)

// programAt finds the argument that is one of the programs of these names: the
// program itself, the script of a Python interpreter, or its "-m" module. -1: it is
// none.
func programAt(args []string, names ...string) int {
	for i, a := range args[:min(len(args), 5)] {
		if !slices.Contains(names, path.Base(a)) {
			continue
		}
		if i == 0 || isPython(args[0]) {
			return i
		}
	}
	return -1
}

// isPython tells an interpreter of Python by its file.
func isPython(program string) bool {
	base := path.Base(program)
	return strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
}
