// Command fltool tells what a long-poll federated-learning deployment will
// hold, what breaks first and how to fix it, and proves it by load.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes, the same for every subcommand.
const (
	exitGood  = 0
	exitFail  = 1 // a check failed, a threshold was missed, a worker was lost, a regression was found
	exitUsage = 2
	exitCant  = 3 // fltool can't tell: it could not do its work, or the verdict is refused
)

// exitError ends a subcommand with a code. Err is shown as one line and Hint
// below it; with Err nil the output already said all there is to say.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is for what the user typed; cantError for what the machine denied.
func usageError(hint, format string, a ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, a...), hint: hint}
}

func cantError(hint, format string, a ...any) error {
	return &exitError{code: exitCant, err: fmt.Errorf(format, a...), hint: hint}
}

// tempError is of a temporary file that could not be made.
func tempError(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return cantError("the environment's TMPDIR names it; else it is /tmp", "the folder for temporary files, %s: %w", os.TempDir(), err)
}

func main() {
	// A broken pipe is an error of the write, not the end of a process that has to
	// clean up. Caught, not ignored: children inherit what is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// A second signal ends the process the default way, whatever hangs, and may
		// come as soon as the first one shows.
		signal.Stop(signals)
		stop()
	}()

	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	var tidies atomic.Bool
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(context.WithValue(ctx, tidiesKey{}, &tidies)) }()
	select {
	case err := <-ended:
		return report(err, stderr)
	case <-ctx.Done():
	}
	if tidies.Load() {
		return report(<-ended, stderr)
	}
	if onTerminal(stderr) {
		fmt.Fprintln(stderr) // after its "^C"
	}
	return report(cantError("", "%w", ctx.Err()), stderr)
}

type tidiesKey struct{}

// tidies says that from here on the command heeds ctx and has something to put in
// order when it ends: servers, runs, files of several. Until then a signal ends
// fltool at once, whatever it reads: a pipe may stay silent for ever.
func tidies(ctx context.Context) {
	if flag, ok := ctx.Value(tidiesKey{}).(*atomic.Bool); ok {
		flag.Store(true)
	}
}

// asExit gives a command's error the exit code of what fltool can't do, unless it
// has one of its own.
func asExit(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return cantError("", "%w", err)
}

// report prints an error as a user should see it, a line for each that was joined,
// and picks the exit code: the first one's.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitGood
	}
	var e *exitError
	if !errors.As(err, &e) {
		// cobra's own: an unknown command, a missing argument.
		e = &exitError{code: exitUsage, err: err, hint: "fltool --help lists the commands"}
		err = e
	}
	interrupted := false
	for _, part := range parts(err) {
		said := part.Error()
		var exit *exitError
		switch errors.As(part, &exit); {
		case exit != nil && exit.err == nil:
			continue // the output said it
		case errors.Is(part, context.Canceled) && interrupted:
			continue
		case errors.Is(part, context.Canceled):
			interrupted, said, exit = true, "interrupted", nil
		}
		fmt.Fprintln(stderr, fitted(stderr, "fltool: "+strings.ReplaceAll(said, "\n", " ")))
		if exit != nil && exit.hint != "" {
			fmt.Fprintln(stderr, fitted(stderr, "hint: "+exit.hint))
		}
	}
	return e.code
}

// parts is the errors that were joined to one, or it alone.
func parts(err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, part := range joined.Unwrap() {
		all = append(all, parts(part)...)
	}
	return all
}

// forPackages are commands that only make packages of fltool.
var forPackages []func() *cobra.Command

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fltool",
		Short: "Capacity of long-poll federated-learning servers: predicted, fixed, proven",
		Long: `fltool tells what a long-poll federated-learning deployment will hold, what
breaks first and how to fix it, and proves it by load.

Exit codes: 0 good; 1 a check failed, a threshold was missed, a worker was lost
or a regression was found; 2 usage; 3 fltool can't tell.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version, _ := cmd.Flags().GetBool("version"); version { // it is defined below
				return printVersion(cmd)
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolP("version", "v", false, "version for fltool")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage) // all commands inherit it
	root.AddCommand(
		newCompare(),
		newExplain(),
		newFix(),
		newFleet(),
		newKeys(),
		newNginx(),
		newPlan(),
		newPreflight(),
		newReport(),
		newRun(),
		newSchema(),
		newTrend(),
		newVersion(),
	)
	root.AddCommand(needLinux(runtime.GOOS, newCapacity(), newDrill(), newRegress(), newServe(), newSimulate(), newWatch())...)
	for _, of := range forPackages {
		root.AddCommand(of())
	}
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	completeFlags(root)
	exitByCommand(root)
	plainUsage(root)
	knowsTopics(root)
	return root
}

// exitByCommand tells errors of the commands from cobra's, which are about usage.
func exitByCommand(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return asExit(run(cmd, args)) }
	}
	for _, sub := range cmd.Commands() {
		exitByCommand(sub)
	}
}
