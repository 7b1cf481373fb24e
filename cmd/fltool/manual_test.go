package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// said is a command that the manual has its reader type.
type said struct {
	at      string // "docs/ci.md:14"
	command string // in one line, without its comment
	output  string // that the manual shows; "" where it shows none
	root    string // of the host that is judged; "": by the exit code
}

// guide is the page whose host is fixed on the way, and whose loads meet a server of
// Python's behind nginx.
const guide = "guide.md"

// whole makes the figures that guide.md shows: with -v they are printed.
var whole = flag.Bool("whole", false, "run the commands of the manual at their full size")

// code is the exit code that the output shows, 0 without any.
func (c said) code() int {
	if strings.HasPrefix(c.output, "NO:") {
		return exitFail
	}
	return exitGood
}

// The commands that no test can run, and why.
var cantRun = map[string]string{
	"kubectl logs -l app.kubernetes.io/name=fl-load --tail=-1 --max-log-requests=20 | fltool report --from-logs -": "it reads the logs of pods, which takes a cluster",
	"kubectl cp fltool POD:/tmp/fltool": "it copies a file into a pod, which takes a cluster",
}

// TestManual runs every command in the code blocks of README.md and docs, in the
// order of each page, in a folder that has what the page speaks of: the exit code
// must be 0, and what the page shows as output must be printed. A command is
// changed as little as possible, by inSandbox alone, so that it runs here and
// soon; as it is written it must be one that fltool takes.
func TestManual(t *testing.T) {
	world := newWorld(t)
	unused := maps.Clone(cantRun)
	total := 0
	for _, page := range manualPages(t) {
		all, _ := manualOf(t, page)
		total += len(all)
		all = slices.DeleteFunc(all, func(c said) bool {
			delete(unused, c.command)
			return cantRun[c.command] != ""
		})
		if len(all) == 0 {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel() // mostly they wait
			s := newSandbox(t, world)
			defer s.close(t)
			root := ""
			if filepath.Base(page) == guide {
				root = "plain"
			}
			for _, c := range all {
				c.root = root
				if root != "" && strings.HasPrefix(c.command, "fltool nginx render") {
					root = "fixed"
				}
				for _, args := range fltoolIn(c.command) {
					if err := accepts(args); err != nil {
						t.Errorf("%s: %s: %v", c.at, c.command, err)
					}
				}
				s.run(t, c)
			}
		})
	}
	for command := range unused {
		t.Errorf("the manual has no command %s, which is said not to run", command)
	}
	if total < 40 {
		t.Errorf("only %d commands found in the manual", total)
	}
}

// TestManualInline holds what the manual says within its lines, and the examples
// of --help, to what fltool takes.
func TestManualInline(t *testing.T) {
	total := 0
	for _, page := range manualPages(t) {
		_, text := manualOf(t, page)
		for _, m := range regexp.MustCompile("`(fltool [^`]+)`").FindAllStringSubmatch(text, -1) {
			total++
			words := strings.Fields(m[1])[1:]
			cmd, rest, err := newRoot().Find(words)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil && !strings.Contains(err.Error(), "flag needs an argument") { // a mention of the flag
				t.Errorf("%s: %s: %v", page, m[1], err)
			}
		}
	}
	if total < 20 {
		t.Errorf("only %d commands found within lines", total)
	}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.HasExample() {
			for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", "")) {
				for _, args := range fltoolIn(strings.TrimSpace(line)) {
					total++
					if err := accepts(args); err != nil {
						t.Errorf("%s --help: %s: %v", cmd.CommandPath(), strings.TrimSpace(line), err)
					}
				}
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
}

// manualPages are the files of the manual, from the repository's root on.
func manualPages(t *testing.T) []string {
	var pages []string
	for _, glob := range []string{"README.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", "..", glob))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files: %v", glob, len(found), err)
		}
		pages = append(pages, found...)
	}
	return pages
}

// programs are those whose commands stand in the manual. A block that begins with
// none of them is no block of commands.
var programs = []string{"fltool", "make", "bin/prove", "go", "nginx", "kubectl", "docker", "journalctl", "vegeta", "curl"}

// manualOf takes a page apart: the commands of its code blocks that have fltool in
// them, and the text around the blocks.
func manualOf(t *testing.T, page string) (all []said, text string) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var block []string
	from, fenced, blank := 0, false, true
	end := func() {
		all = append(all, commandsOf(t, page, from, block)...)
		block = nil
	}
	for i, line := range strings.Split(string(b), "\n") {
		indented := strings.HasPrefix(line, "    ")
		switch {
		case strings.HasPrefix(line, "```"):
			end()
			fenced, from = !fenced, i+2
		case fenced:
			block = append(block, line)
		case indented && (blank || len(block) > 0):
			if len(block) == 0 {
				from = i + 1
			}
			block = append(block, line[4:])
		default:
			end()
			text += line + "\n"
		}
		blank = line == ""
	}
	end()
	return all, text
}

var comment = regexp.MustCompile(`(^|\s+)#( .*)?$`)

// commandsOf are the commands of a block that begins in a line of a page. Those
// behind "$ " are followed by what they print.
func commandsOf(t *testing.T, page string, from int, block []string) (all []said) {
	if len(block) == 0 {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(block[0], "$ "), " ")
	console := strings.HasPrefix(block[0], "$ ")
	if !slices.Contains(programs, first) {
		for _, line := range block {
			if strings.HasPrefix(strings.TrimSpace(line), "fltool ") {
				t.Errorf("%s:%d: fltool stands in a block that does not begin with a command: %s", page, from, line)
			}
		}
		return nil
	}
	add := func(at int, command string) {
		all = append(all, said{at: fmt.Sprintf("%s:%d", strings.TrimPrefix(page, "../../"), at), command: strings.Join(strings.Fields(command), " ")})
	}
	for i := 0; i < len(block); i++ {
		at, line := from+i, block[i]
		command, typed := strings.CutPrefix(line, "$ ")
		if console && !typed {
			all[len(all)-1].output += line + "\n"
			continue
		}
		command = comment.ReplaceAllString(command, "")
		for (strings.HasSuffix(command, `\`) || strings.HasSuffix(command, "|")) && i+1 < len(block) {
			i++
			command = strings.TrimSuffix(command, `\`) + comment.ReplaceAllString(block[i], "")
		}
		if command != "" {
			add(at, command)
		}
	}
	return slices.DeleteFunc(all, func(c said) bool { return !strings.Contains(c.command, "fltool") })
}

// accepts says what fltool does not take of a command line.
func accepts(args []string) error {
	root := newRoot()
	root.InitDefaultCompletionCmd(args...) // which cobra adds when it runs
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	if err := cmd.ValidateFlagGroups(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

var (
	shellWord = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)
	quotes    = strings.NewReplacer("'", "", `"`, "")
)

// fltoolIn are the arguments of each fltool of a pipeline, and of those that one
// fltool is told to run.
func fltoolIn(command string) (all [][]string) {
	var args []string
	in := false
	end := func() {
		if in && len(args) > 0 {
			all = append(all, args)
		}
		args, in = nil, false
	}
	for _, word := range shellWord.FindAllString(command, -1) {
		switch {
		case word == "fltool" || word == "/tmp/fltool":
			if in && args[len(args)-1] == "--" {
				args = args[:len(args)-1]
			}
			end()
			in = true
		case strings.HasPrefix(word, "|") || strings.HasPrefix(word, ">") || strings.HasPrefix(word, "&"):
			end()
		case in:
			args = append(args, quotes.Replace(word))
		}
	}
	end()
	return all
}

// inSandbox turns a command of the manual into one that runs in the sandbox, and
// soon: small loads for a moment, and no limit of time that a busy machine could
// miss. What is put behind the subcommand comes before the flags of the manual, so
// that those win.
func inSandbox(c said) string {
	command := strings.ReplaceAll(c.command, "/tmp/fltool", "fltool")
	command = strings.ReplaceAll(command, "/mnt/image", "host")
	command = regexp.MustCompile(`(^|[ =])/(etc|tmp|var)/`).ReplaceAllString(command, "$1$$PWD/$2/")
	change := func(flags string, to func(value string) string) {
		command = regexp.MustCompile(` --?(`+flags+`) \S+`).ReplaceAllStringFunc(command, func(s string) string {
			i := strings.LastIndexByte(s, ' ')
			return s[:i+1] + to(s[i+1:])
		})
	}
	most := func(n int) func(string) string {
		return func(value string) string {
			if v, err := strconv.Atoi(value); err != nil || v < n {
				return value
			}
			return strconv.Itoa(n)
		}
	}
	is := func(value string) func(string) string { return func(string) string { return value } }
	sub := fltoolIn(c.command)[0][0]
	put := func(flags string) { command = strings.Replace(command, "fltool "+sub, "fltool "+sub+flags, 1) }
	switch sub {
	case "keys":
		if (c.output == "" || c.root != "") && !*whole {
			change("n", most(keyed))
		}
	case "fleet":
		change("workers", most(keyed))
		change("levels", is("20,40"))
	case "simulate", "regress", "capacity", "drill":
		if *whole {
			break
		}
		change("workers", most(keyed)) // as many as there are keys: rounds wait for all
		change("hold|hold-level|ramp", is("300ms"))
		change("max-lag", is("1m"))
		change("quorum", most(keyed/2))
		change("rounds", most(6))
		change("from", most(20))
		change("step", most(40))
		change("to", most(60))
		change("scenario", func(value string) string { return cmp.Or(brief[value], value) })
		command = regexp.MustCompile(`<\d+s'`).ReplaceAllString(command, "<1h'")
	case "preflight":
		change("then-simulate", most(10)) // the generator is judged, too
	}
	switch {
	case *whole && (sub == "simulate" || sub == "capacity"):
		return command
	case c.root != "" && (sub == "preflight" || sub == "fix"):
		put(" --root " + c.root)
		return command
	}
	switch sub {
	case "simulate", "drill":
		put(" --max-lag 1m")
	case "capacity":
		if strings.Contains(command, "--levels") { // fixed ones
			put(" --max-lag 1m")
			break
		}
		put(" --max-lag 1m --from 30 --hold-level 300ms --confirm 0")
	case "regress": // one run tells nothing, and that is allowed; the script of regress has it decide
		put(" --runs 1 --max-runs 1 --allow-inconclusive")
		if !strings.Contains(command, " -- ") {
			command += " -- fltool simulate --workers 4 --rounds 2 -- fltool simulate --workers 4 --hold 100ms"
		}
		command = strings.ReplaceAll(command, " -- fltool simulate", " -- fltool simulate --max-lag 1m")
	case "trend":
		put(" --allow-inconclusive") // of one commit
	case "preflight":
		if !strings.Contains(command, "--facts") && !strings.Contains(command, "--drift") && !strings.Contains(command, "--root") {
			put(map[bool]string{true: " --root poor", false: " --root host"}[c.code() == exitFail])
		}
		if strings.Contains(command, "--url") {
			put(" --probe-hold 1s --simulate-hold 1s --hold 1s --probe-body-max 1MB --model-size 500kB")
		}
	case "fix":
		if !strings.Contains(command, "--facts") {
			put(" --root poor")
		}
	case "watch":
		put(" --root host")
		command = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(command, "127.0.0.1:0")
	case "serve":
		put(" --listen 127.0.0.1:0")
	}
	return command
}

// brief are scenarios of the manual, as they end in seconds.
var brief = map[string]string{
	"abandon":                    "abandon:times=3",
	"hostile:requests=2000":      "hostile:requests=500",
	"hostile:requests=5000":      "hostile:requests=500",
	"flaky:every=3000,silence=1": "flaky:every=30000,silence=0.1",
}

var (
	figure = regexp.MustCompile(`\d+(\\\.\d+)?( (µs|ms|s)\b)?`) // in a quoted text
	blanks = regexp.MustCompile(` +`)
)

// shown turns the output that the manual shows into what must be printed: "…" is
// anything, and the figures of a load and an address are the machine's.
func shown(c said) *regexp.Regexp {
	re := regexp.QuoteMeta(c.output)
	if !strings.HasPrefix(c.command, "fltool preflight") {
		re = figure.ReplaceAllString(re, `\d+(\.\d+)?( (µs|ms|s))?`)
	}
	re = strings.TrimSuffix(blanks.ReplaceAllString(re, " +"), "…\n")
	re = strings.TrimPrefix(strings.ReplaceAll("\n"+re, "\n…\n", "\n(?s:.*)"), "\n")
	return regexp.MustCompile("^" + strings.ReplaceAll(re, "…", ".*"))
}

// run runs a command to its end; a server until it has said where it listens.
func (s *sandbox) run(t *testing.T, c said) {
	t.Helper()
	command := s.servers(t, inSandbox(c))
	if strings.Contains(c.command, "regress --baseline ") && strings.Contains(c.command, " -- ") { // another demand than the page's baseline
		s.exec(t, c.at, strings.Replace(command, "regress ", "regress --store ", 1), exitGood)
	}
	var stdout string
	switch {
	case strings.HasPrefix(command, "fltool serve"), strings.HasPrefix(command, "fltool watch"):
		p := s.start(t, "exec "+command)
		stdout = p.stdout.waitFor(t, "((listening|metrics) on .*\n)")
		p.stop(t)
	case strings.Contains(command, "--shard 1/"): // whose rounds wait for the other shard
		s.shard = s.start(t, command)
		return
	default:
		stdout = s.exec(t, c.at, command, c.code())
	}
	if s.shard != nil {
		s.shard.wait(t)
		s.shard = nil
	}
	if *whole {
		t.Logf("%s\n%s", command, stdout)
	}
	if c.output != "" && !shown(c).MatchString(stdout) {
		t.Errorf("%s: %s\nprints\n%s\nthe manual has\n%s", c.at, command, stdout, c.output)
	}
}
