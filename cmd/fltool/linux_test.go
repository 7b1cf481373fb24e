package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// On another system a command that needs Linux says so in its help and when it runs.
func TestNeedLinux(t *testing.T) {
	for goos, want := range map[string]string{"linux": "", "darwin": "try needs Linux, and this is darwin"} {
		ran := false
		cmd := needLinux(goos, &cobra.Command{Use: "try", Short: "Try", RunE: func(*cobra.Command, []string) error {
			ran = true
			return nil
		}})[0]
		cmd.SetOut(io.Discard)
		cmd.SetArgs(nil)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		said := ""
		if err := cmd.Execute(); err != nil {
			said = err.Error()
		}
		if said != want || ran != (want == "") || strings.Contains(cmd.Short, "(needs Linux)") == ran {
			t.Errorf("%s: said %q, ran %t, short %q", goos, said, ran, cmd.Short)
		}
	}
}
