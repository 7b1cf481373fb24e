// Command elsewhere tells whether packages compile for other systems: elsewhere
// GOOS/GOARCH,… PACKAGE... It checks types alone, which takes a tenth of a build's
// time.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: elsewhere GOOS/GOARCH,... PACKAGE...")
		os.Exit(2)
	}
	failed := 0
	for system := range strings.SplitSeq(os.Args[1], ",") {
		goos, goarch, _ := strings.Cut(system, "/")
		all, err := packages.Load(&packages.Config{
			Mode: packages.LoadAllSyntax,
			Env:  append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
		}, os.Args[2:]...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, err)
			os.Exit(1)
		}
		if n := packages.PrintErrors(all); n > 0 {
			fmt.Fprintf(os.Stderr, "%s: it does not compile\n", system)
			failed += n
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}
