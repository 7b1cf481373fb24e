package main

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fltool/fltool/loadgen"
)

// stageFor is the key of a stage's time.
const stageFor = "for"

// stages reads a plan's stages, each keys with values or as --stages takes it.
func (p plan) stages(list *yaml.Node) (texts []string, err error) {
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil, p.wrong(list, "for example - {hold: 1000, for: 5m}", "stages: want a list of at least one")
	}
	for _, node := range list.Content {
		text, err := p.stage(followed(node))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// stage reads one stage.
func (p plan) stage(node *yaml.Node) (string, error) {
	if node.Kind == yaml.ScalarNode {
		text, err := p.scalar(node)
		if err != nil {
			return "", err
		}
		if _, err = loadgen.ParseStage(text); err != nil {
			shape, _, _ := strings.Cut(text, ":")
			return "", p.wrong(node, stageHint(shape, err), "stages: %w", err)
		}
		return text, nil
	}
	keys, err := p.mapping(node, "a stage")
	if err != nil {
		return "", err
	}
	isShape := func(x pair) bool { return slices.Contains(loadgen.StageShapes(), x.key.Value) }
	i := slices.IndexFunc(keys, isShape)
	if i < 0 {
		return "", p.noShape(node, keys)
	}
	shape := keys[i]
	parts := slices.Delete(slices.Clone(keys), i, i+1)
	if j := slices.IndexFunc(parts, isShape); j >= 0 {
		return "", p.wrong(parts[j].key, "stages are a list: - {hold: 1000, for: 5m}", "%s and %s are two stages", shape.key.Value, parts[j].key.Value)
	}
	places := map[string]*yaml.Node{} // of the parts, where they are wrong
	var items []string
	if shape.value.Kind == yaml.MappingNode {
		more, err := p.mapping(shape.value, shape.key.Value)
		if err != nil {
			return "", err
		}
		parts = append(more, parts...)
	} else {
		text, err := p.scalar(shape.value)
		if err != nil {
			return "", err
		}
		items, places["workers"] = []string{text}, shape.value
	}
	for _, x := range parts {
		name := x.key.Value
		if places[name] = x.value; name != stageFor && !slices.Contains(loadgen.StageParts(shape.key.Value), name) {
			places[name] = x.key
			if planned(p.command).Flags().Lookup(name) != nil {
				return "", p.wrong(x.key, "it stands beside stages, for all of them", "%s: it is none of a stage's", name)
			}
		}
		text, err := p.scalar(x.value)
		if err != nil {
			return "", err
		}
		items = append(items, name+"="+text)
	}
	text := shape.key.Value + ":" + strings.Join(items, ",")
	var bad *loadgen.StageError
	if _, err := loadgen.ParseStage(text); errors.As(err, &bad) {
		at := places[bad.Part]
		if at == nil {
			at = shape.key
		}
		return "", p.wrong(at, stageHint(shape.key.Value, bad), "%s: %w", shape.key.Value, bad)
	}
	return text, nil
}

// noShape is the error of a stage without a shape.
func (p plan) noShape(node *yaml.Node, keys pairs) error {
	hint := "for example {hold: 1000, for: 5m}; rounds and scenarios are plans of their own"
	for _, x := range keys {
		if words := near(x.key.Value, loadgen.StageShapes()); len(words) > 0 {
			node, hint = x.key, didYouMean(words, "")
			break
		}
	}
	return p.wrong(node, hint, "a stage has one of %s", listed(loadgen.StageShapes(), "and"))
}

// stageHint is what a word may have meant that no stage has.
func stageHint(shape string, err error) string {
	var bad *loadgen.StageError
	parts := loadgen.StageParts(shape)
	switch {
	case parts == nil:
		return didYouMean(near(shape, loadgen.StageShapes()), "")
	case !errors.As(err, &bad), bad.Part == stageFor, slices.Contains(parts, bad.Part):
		return ""
	}
	return didYouMean(near(bad.Part, append(parts, stageFor)), "")
}

// stageYAML is a stage that --stages was given, as a plan has it.
func stageYAML(text string) string {
	if _, err := loadgen.ParseStage(text); err != nil {
		return planValue(nil, text)
	}
	shape, list, _ := strings.Cut(text, ":")
	var bare, last string
	var parts []string
	for item := range strings.SplitSeq(list, ",") {
		name, value, named := strings.Cut(item, "=")
		switch {
		case !named:
			bare = name
		case name == stageFor:
			last = value
		default:
			parts = append(parts, name+": "+value)
		}
	}
	if bare == "" || len(parts) > 0 {
		if bare != "" {
			parts = append(parts, "workers: "+bare)
		}
		bare = "{" + strings.Join(parts, ", ") + "}"
	}
	return "{" + shape + ": " + bare + ", " + stageFor + ": " + last + "}"
}
