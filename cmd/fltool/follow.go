package main

import (
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// followFlags say how a command's runs are followed while they last: simulate's,
// capacity's and drill's.
type followFlags struct{}

// following is who follows the runs of a command, one run after another.
type following struct {
	stderr    io.Writer // for what is said between and beside the runs
	followers []loadgen.Follower
	ends      []func() error
}

// begin begins to follow; close ends it.
func (f *followFlags) begin(cmd *cobra.Command) (*following, error) {
	all := &following{stderr: cmd.ErrOrStderr()}
	all.followers = append(all.followers, progressTo(all.stderr))
	return all, nil
}

// tell is the Follower of every run.
func (f *following) tell(now reports.Progress, soFar func() reports.Report) {
	for _, tell := range f.followers {
		tell(now, soFar)
	}
}

// close ends what was begun, the last first.
func (f *following) close() (err error) {
	for _, end := range slices.Backward(f.ends) {
		err = errors.Join(err, end())
	}
	return err
}
