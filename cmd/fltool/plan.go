package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// plan is a command line as data: a command and its flags by name. It is what a file of
// YAML says, checked against the command's flags.
type plan struct {
	file    string
	command []string
	flags   []planFlag
	args    []string // behind the flags
}

// planFlag is a flag with its values, several of one that may be given several times.
type planFlag struct {
	name   string
	values []string
	at     place
}

// place is where something stands in a plan, from 1.
type place struct{ line, column int }

// The keys of a plan that are no flags, the flag whose values are more than text, and the
// command without one.
const (
	planCommand = "command"
	planArgs    = "args"
	planStages  = "stages"

	defaultCommand = "simulate"
)

// maxPlan is the bytes that a plan may have: far above any real one.
const maxPlan = 1 << 20

// readPlan reads the plan in a file; "-" is stdin.
func readPlan(path string, stdin io.Reader) (plan, error) {
	src := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return plan{}, cantError("", "read plan: %w", err)
		}
		defer f.Close()
		src = f
	}
	data, err := io.ReadAll(io.LimitReader(src, maxPlan+1))
	if err != nil {
		return plan{}, cantError("", "read plan: %w", err)
	}
	if len(data) > maxPlan {
		return plan{}, usageError("", "%s: larger than the %d KiB that a plan may have", path, maxPlan>>10)
	}
	return parsePlan(path, data)
}

// parsePlan reads a plan. Its errors are of usage, and say where in the file.
func parsePlan(file string, data []byte) (plan, error) {
	p := plan{file: file, command: []string{defaultCommand}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return p, usageError("fltool plan -- simulate --workers 1000 prints one", "%s: it is empty", file)
	case err != nil:
		return p, p.noYAML(data, err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return p, p.wrong(&more, "", "it holds more than one document")
	case !errors.Is(err, io.EOF):
		return p, p.noYAML(data, err)
	}
	pairs, err := p.mapping(doc.Content[0], "a plan")
	if err != nil {
		return p, err
	}
	if of, ok := pairs.take(planCommand); ok {
		words, err := p.scalar(of.value)
		if err != nil {
			return p, err
		}
		p.command = strings.Fields(words)
		if err := p.knowsCommand(of.value); err != nil {
			return p, err
		}
	}
	if of, ok := pairs.take(planArgs); ok {
		if p.args, err = p.list(of.value); err != nil {
			return p, err
		}
		if of.value.Kind == yaml.ScalarNode {
			p.args = strings.Fields(p.args[0])
		}
	}
	p.flags, err = p.flagsOf(pairs)
	return p, err
}

// wrong is an error of what stands there.
func (p plan) wrong(at *yaml.Node, hint, format string, a ...any) error {
	return usageError(hint, "%s:%d:%d: %w", p.file, at.Line, at.Column, fmt.Errorf(format, a...))
}

// pair is a key with its value.
type pair struct{ key, value *yaml.Node }

type pairs []pair

// take removes a key and gives what it has.
func (all *pairs) take(key string) (pair, bool) {
	i := slices.IndexFunc(*all, func(x pair) bool { return x.key.Value == key })
	if i < 0 {
		return pair{}, false
	}
	found := (*all)[i]
	*all = slices.Delete(slices.Clone(*all), i, i+1)
	return found, true
}

// mapping gives the keys and values of a mapping.
func (p plan) mapping(node *yaml.Node, what string) (all pairs, err error) {
	node = followed(node)
	if node.Kind != yaml.MappingNode {
		return nil, p.wrong(node, "for example: workers: 1000", "%s is keys with values", what)
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], followed(node.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			return nil, p.wrong(key, "", "a key must be a word")
		}
		if slices.ContainsFunc(all, func(x pair) bool { return x.key.Value == key.Value }) {
			return nil, p.wrong(key, "", "%s is there twice", key.Value)
		}
		all = append(all, pair{key, value})
	}
	return all, nil
}

// followed is what an alias stands for.
func followed(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// variable is one of the environment in a value; $${ stands for ${ itself.
var variable = regexp.MustCompile(`\$?\$\{([^}]*)\}`)

// scalar is a value as it would be typed, with the environment's variables.
func (p plan) scalar(node *yaml.Node) (string, error) {
	node = followed(node)
	if node.Kind != yaml.ScalarNode {
		return "", p.wrong(node, "", "want one value, not a list and no keys")
	}
	if node.Tag == "!!null" {
		return "", p.wrong(node, "", "a value is missing")
	}
	var missing string
	text := variable.ReplaceAllStringFunc(node.Value, func(s string) string {
		name := variable.FindStringSubmatch(s)[1]
		if strings.HasPrefix(s, "$$") {
			return s
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			missing = name
		}
		// What the environment has is no pattern again.
		return strings.ReplaceAll(value, "${", "$${")
	})
	if missing != "" {
		return "", p.wrong(node, "$${ stands for ${ itself", "${%s}: the environment has no such variable", missing)
	}
	return text, nil
}

// resolved is a value in the end, without what kept ${ from being a variable.
func resolved(value string) string { return strings.ReplaceAll(value, "$${", "${") }

// list is the values of a list, or one value alone.
func (p plan) list(node *yaml.Node) (values []string, err error) {
	if node.Kind != yaml.SequenceNode {
		v, err := p.scalar(node)
		return []string{v}, err
	}
	for _, item := range node.Content {
		v, err := p.scalar(item)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return nil, p.wrong(node, "", "a value is missing")
	}
	return values, nil
}

// planned is the command of those words, new; nil if there is none that a plan may have.
func planned(words []string) *cobra.Command {
	cmd, rest, err := newRoot().Find(words)
	if err != nil || len(rest) > 0 || len(words) == 0 || cmd.HasSubCommands() || slices.Contains([]string{"run", "plan", "help", "completion"}, words[0]) {
		return nil
	}
	return cmd
}

func (p plan) knowsCommand(at *yaml.Node) error {
	if planned(p.command) != nil {
		return nil
	}
	var names []string
	for _, cmd := range newRoot().Commands() {
		if planned([]string{cmd.Name()}) != nil {
			names = append(names, cmd.Name())
		}
	}
	name := strings.Join(p.command, " ")
	return p.wrong(at, didYouMean(near(name, names), "fltool --help lists the commands"), "command: %q is none that a plan may have", name)
}

// flagsOf reads keys that are flags of the plan's command.
func (p plan) flagsOf(all pairs) (flags []planFlag, err error) {
	cmd := planned(p.command)
	for _, x := range all {
		name := x.key.Value
		known := cmd.Flags().Lookup(name)
		if known == nil || name == "help" {
			return nil, p.unknown(cmd, x.key)
		}
		f := planFlag{name: name, at: place{x.key.Line, x.key.Column}}
		if _, many := known.Value.(pflag.SliceValue); !many && x.value.Kind == yaml.SequenceNode {
			return nil, p.wrong(x.value, "", "%s: it may be given only once: want one value, no list", name)
		}
		read := p.list
		if name == planStages {
			read = p.stages
		}
		if f.values, err = read(x.value); err != nil {
			return nil, err
		}
		for i, v := range f.values {
			if err := known.Value.Set(resolved(v)); err != nil {
				at := x.value
				if at.Kind == yaml.SequenceNode {
					at = at.Content[i]
				}
				want, hint := wantOfText(known, v, err)
				return nil, p.wrong(at, hint, "%s: %q: %s", name, v, want)
			}
		}
		flags = append(flags, f)
	}
	return flags, nil
}

// unknown is of a key that is no flag.
func (p plan) unknown(cmd *cobra.Command, key *yaml.Node) error {
	names := []string{planCommand, planArgs}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	help := "fltool " + strings.Join(p.command, " ") + " --help lists the flags, which are the keys of a plan"
	return p.wrong(key, didYouMean(near(key.Value, names), help), "%s is no key of a plan of %s", key.Value, strings.Join(p.command, " "))
}
