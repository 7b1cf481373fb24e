package main

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports/render"
)

// consent asks a question that wants a yes, where there is a terminal to ask at; asked
// says whether there was.
func consent(cmd *cobra.Command, question string) (yes, asked bool, err error) {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return false, false, nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		fmt.Fprintln(cmd.ErrOrStderr())
		return false, true, cantError("", "read the answer: %w", err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", true, nil
}

// unasked is how many workers may be sent anywhere without a question.
const unasked = 100

// agreeToLoad asks before more than a few workers are sent to an address that anybody may
// own: a slip in a target must not flood a stranger. So many as may be are 0. A harsh
// scenario wants it for any number.
func agreeToLoad(cmd *cobra.Command, target *url.URL, workers int, befalls loadgen.Scenario, yes bool) error {
	if yes || workers > 0 && workers <= unasked && !befalls.Harsh() {
		return nil
	}
	public, err := loadgen.IsPublic(cmd.Context(), target)
	if err != nil {
		return targetError(err)
	}
	if !public {
		return nil
	}
	who := "as many workers as it holds"
	if workers > 0 {
		who = render.Plural(workers, "worker")
	}
	switch {
	case befalls.Name == loadgen.ScenarioHostile:
		who = "hostile requests beside " + who
	case befalls.Name == loadgen.ScenarioSlow:
		who = "slow clients beside " + who
	case befalls.Harsh():
		who = fmt.Sprintf("a %s of %s", befalls.Name, who)
	}
	yes, asked, err := consent(cmd, fmt.Sprintf("%s is neither on this machine nor in a private network.\nSend %s there?", target.Host, who))
	switch {
	case err != nil || yes:
		return err
	case asked:
		return usageError("", "nothing was sent")
	}
	return usageError("agree by --yes, if the server is yours", "--target %s is neither on this machine nor in a private network, and nobody agreed to send %s there", target.Host, who)
}
