package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

func newReport() *cobra.Command {
	var out outputFlags
	var logs bool
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Print a report, or merge the reports of a run's shards into one",
		Long: `report prints a report that --out or --format json of another command wrote.

Of several files, the shards of one run, it makes the report of the whole: all
shards must be there, once each. A folder is all the *.json in it, and has to hold
a whole run. FILE - is the standard input. With --from-logs the files are logs, such
as those of containers, in which --format log printed reports, several in one or not.

The exit code is that of the verdict, as of the command that made the report.`,
		Example: `  fltool report run.json
  fltool report --out whole.json shard-*.json
  fltool report reports/
  kubectl logs -l job-name=fl-load --tail=-1 --max-log-requests=20 | fltool report --from-logs -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			// The format is checked first: a long merge should not end in a typo.
			if err := out.check(); err != nil {
				return err
			}
			all, err := gather(files, logs, cmd.InOrStdin())
			if err != nil {
				return err
			}
			r, err := all.merge()
			if err != nil {
				return err
			}
			return out.write(cmd, r)
		},
	}
	cmd.Flags().BoolVar(&logs, "from-logs", false, "the files are logs that have reports in them")
	out.add(cmd)
	out.addVerbose(cmd)
	return cmd
}

// outputFlags are how a command that ends in a report shows and keeps it.
type outputFlags struct {
	format  string
	out     string
	verbose bool
}

func (o *outputFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.format, "format", render.Default, "print the report as "+strings.Join(render.Reports.Names(), ", "))
	cmd.Flags().StringVar(&o.out, "out", "", "write the report as JSON to this `file`, whatever is printed")
	completeBy(cmd, "format", render.Reports.Names)
}

// addVerbose is for commands that print findings.
func (o *outputFlags) addVerbose(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "tell every finding in full, and list the checks that are right or not applicable")
}

const writableHint = "the directory must be there, and one may write in it"

// otherFormats are those that the name of a file promises, and --out does not write.
var otherFormats = map[string]string{".html": "html", ".htm": "html", ".md": "markdown", ".xml": "junit", ".sarif": "sarif", ".prom": "prometheus"}

// check finds a wrong flag before the work is done.
func (o *outputFlags) check() error {
	if _, err := render.Reports.For(o.format, render.Style{}); err != nil {
		return usageError("", "--format: %w", err)
	}
	if format := otherFormats[strings.ToLower(filepath.Ext(o.out))]; format != "" {
		return usageError(fmt.Sprintf("--format %s prints it as such, for example: --out report.json --format %s >%s", format, format, o.out), "--out %s: the report is kept as JSON", o.out)
	}
	if o.out != "" {
		if err := reports.CheckFile(o.out); err != nil {
			return cantError(writableHint, "write report %w", err)
		}
	}
	return nil
}

// write keeps the report, prints it and turns its verdict into the exit code. It
// prints what it can't keep as well: the work was done.
func (o *outputFlags) write(cmd *cobra.Command, r reports.Report) error {
	var kept error
	if o.out != "" {
		kept = reports.WriteFile(o.out, r)
	}
	if err := o.print(cmd, r); err != nil {
		return err
	}
	if kept != nil {
		return cantError("", "%w", kept)
	}
	return verdictError(r.Verdict)
}

func (o *outputFlags) print(cmd *cobra.Command, r reports.Report) error {
	stdout := cmd.OutOrStdout()
	style := render.Style{Color: colored(stdout), Columns: columnsOf(stdout), Verbose: o.verbose}
	style.Repository, style.Dir = repository()
	show, err := render.Reports.For(o.format, style)
	if err != nil {
		return usageError("", "--format: %w", err)
	}
	var b bytes.Buffer
	if err := show(&b, r); err != nil {
		return cantError("", "print the report: %w", err)
	}
	return printTo(stdout, "the report", b.String())
}

// repository is the root of git's working tree around the folder that fltool runs in,
// and that folder; "" where there is none.
func repository() (root, here string) {
	here, err := os.Getwd()
	if err != nil {
		return "", ""
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir, here
		}
		if dir == filepath.Dir(dir) {
			return "", ""
		}
	}
}

// printTo prints what a command was asked for.
func printTo(stdout io.Writer, what, text string) error {
	_, err := io.WriteString(stdout, text)
	switch {
	case errors.Is(err, syscall.EPIPE): // who reads no more needs no message
		return &exitError{code: exitCant}
	case err != nil:
		return cantError("", "print %s: %w", what, err)
	}
	return nil
}

// colored tells whether what is written is for a terminal that wants colour.
// See no-color.org.
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// verdictError is the exit code of a verdict, whose report said the rest.
func verdictError(v reports.Verdict) error {
	switch v {
	case reports.VerdictPass, reports.VerdictWarn:
		return nil
	case reports.VerdictFail:
		return &exitError{code: exitFail}
	}
	return &exitError{code: exitCant}
}
