package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports/render"
	"github.com/fltool/fltool/server/wire"
)

func newKeys() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Make and check the key folders of workers",
		Long: `A key folder is that of dc_federated's stress test: for worker N the private
key stress_worker_key_file_N and the public key stress_worker_key_file_N.pub, and
all public keys in stress_worker_public_keys.txt, which is the server's key list.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys.AddCommand(newKeysGenerate(), newKeysVerify())
	return keys
}

func newKeysGenerate() *cobra.Command {
	workers := 0
	cmd := &cobra.Command{
		Use:     "generate --workers N DIR",
		Short:   "Make a key folder for N workers; nothing is ever overwritten",
		Example: "  fltool keys generate --workers 1000 keys",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if workers < 1 {
				return usageError("say how many with --workers 1000", "no number of workers")
			}
			tidies(cmd.Context())
			switch err := wire.GenerateKeys(cmd.Context(), dir, workers); {
			case errors.Is(err, fs.ErrExist):
				return usageError("choose another folder: keys are never overwritten", "%s: holds keys already", dir)
			case errors.Is(err, context.Canceled):
				return cantError("nothing was left behind", "generate keys: interrupted")
			case err != nil:
				return cantError("is the folder writable, and the disk not full?", "generate keys: %w", err)
			}
			return printTo(cmd.OutOrStdout(), "what was made", fmt.Sprintf("%s: keys of %s; private ones have mode 0600\n", dir, render.Plural(workers, "worker")))
		},
	}
	cmd.Flags().IntVarP(&workers, "workers", "n", 0, "number of `workers`")
	return cmd
}

// faultsShown is how many faults of a key folder are told before the rest is a
// number: a line that is missing from the list shifts all those behind it.
const faultsShown = 3

func newKeysVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check that a key folder is whole, consistent and private",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := wire.VerifyKeys(args[0])
			if err == nil {
				return printTo(cmd.OutOrStdout(), "the answer", fmt.Sprintf("%s: good: keys of %s\n", args[0], render.Plural(n, "worker")))
			}
			if errors.Is(err, fs.ErrNotExist) && n == 0 {
				return cantError("make one with: fltool keys generate --workers 1000 "+args[0], "verify keys: %w", err)
			}
			faults := strings.Split(err.Error(), "\n")
			stderr := cmd.ErrOrStderr()
			fmt.Fprintf(stderr, "fltool: %s\n", faults[0])
			shown := min(len(faults), faultsShown)
			for _, fault := range faults[1:shown] {
				fmt.Fprintf(stderr, "also: %s\n", fault)
			}
			if more := len(faults) - shown; more > 0 {
				fmt.Fprintf(stderr, "and %d more\n", more)
			}
			fmt.Fprintln(stderr, "hint: upstream's Python workers and servers need exactly this layout; see fltool keys --help")
			return &exitError{code: exitFail}
		},
	}
}
