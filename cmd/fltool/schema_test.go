package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	generate "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/docs/schema"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/trend"
)

const draft = "https://json-schema.org/draft/2020-12/schema"

// TestSchemas holds the published schemas to what the types and flags are; -update
// makes them anew.
func TestSchemas(t *testing.T) {
	made := map[string]any{
		"report":  schemaOf(t, reports.Report{}, "A report of fltool", reports.Schema),
		"facts":   schemaOf(t, facts.Facts{}, "Facts of a host that fltool saved", facts.Schema),
		"history": allOf(schemaOf(t, trend.Entry{}, "A history of runs, as an array of its lines", trend.Schema)),
		"waivers": map[string]any{"title": "Waivers, as an array of lines", "type": "array", "items": waiverSchema()},
		"plan":    planSchemaOf(),
	}
	texts := map[string]string{}
	for name, of := range made {
		b, err := json.Marshal(of)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		doc["$schema"], doc["$id"] = draft, strings.TrimSuffix(planSchema, "plan.json")+name+".json"
		if b, err = json.MarshalIndent(doc, "", " "); err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b) + "\n"
		path := "../../docs/schema/" + name + ".json"
		if *update {
			if err := os.WriteFile(path, []byte(texts[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := readFile(t, path); got != texts[name] {
			t.Errorf("%s is not what the types and flags are: go test ./cmd/fltool -run TestSchemas -update makes it anew", path)
		}
	}
	packed, err := schema.Pack(texts)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("../../docs/schema/all.json.gz", packed, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	all, err := schema.All()
	if err != nil || !maps.Equal(all, texts) {
		t.Errorf("what fltool has is not what docs/schema has (%v)", err)
	}
}

// schemaOf is the schema of a document whose field schema has that value.
func schemaOf(t *testing.T, document any, title, version string) map[string]any {
	t.Helper()
	r := generate.Reflector{
		Anonymous: true,
		Namer:     typeName,
		Mapper: func(of reflect.Type) *generate.Schema {
			switch {
			case of == reflect.TypeFor[reports.Histogram]():
				return &generate.Schema{Type: "string", ContentEncoding: "base64", Description: "HdrHistogram's compressed encoding"}
			case of == reflect.TypeFor[reports.Verdict]():
				return &generate.Schema{Type: "string", Enum: []any{reports.VerdictPass, reports.VerdictWarn, reports.VerdictFail, reports.VerdictRefused}}
			case of.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
				return &generate.Schema{Type: "string"}
			}
			return nil
		},
	}
	for _, pkg := range []string{"reports", "checks/facts", "nginx"} {
		comments := generate.Reflector{}
		if err := comments.AddGoComments("", filepath.Join("../..", pkg)); err != nil {
			t.Fatal(err)
		}
		if r.CommentMap == nil {
			r.CommentMap = map[string]string{}
		}
		for name, text := range comments.CommentMap {
			name = strings.TrimPrefix(name, "../../")
			r.CommentMap[module+"/"+name] = text
		}
	}
	b, err := json.Marshal(r.Reflect(document))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	defs := doc["$defs"].(map[string]any)
	nullable(reflect.TypeOf(document), defs, map[reflect.Type]bool{})
	root := defs[typeName(reflect.TypeOf(document))].(map[string]any)
	root["properties"].(map[string]any)["schema"] = map[string]any{"const": version}
	doc["title"] = title
	return doc
}

// allOf is the schema of an array of documents.
func allOf(one map[string]any) map[string]any {
	return map[string]any{"title": one["title"], "$defs": one["$defs"], "type": "array", "items": map[string]any{"$ref": one["$ref"]}}
}

// typeName is a type's with its package's, of a generic one with that of its argument.
func typeName(t reflect.Type) string {
	name := regexp.MustCompile(`[\w./-]+/`).ReplaceAllString(t.String(), "")
	name = strings.NewReplacer("[]", "list-of-", "map[string]", "map-of-").Replace(name)
	return strings.Trim(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(name, "-"), "-")
}

// nullable lets what Go writes as null be null: pointers, slices and maps that are not
// left out where they are empty.
func nullable(t reflect.Type, defs map[string]any, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		nullable(t.Elem(), defs, seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[t] {
		return
	}
	seen[t] = true
	def, _ := defs[typeName(t)].(map[string]any)
	properties, _ := def["properties"].(map[string]any)
	for i := range t.NumField() {
		f := t.Field(i)
		nullable(f.Type, defs, seen)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		property := properties[name]
		if property == nil || strings.Contains(options, "omitempty") {
			continue
		}
		if k := f.Type.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
			properties[name] = map[string]any{"oneOf": []any{property, map[string]any{"type": "null"}}}
		}
	}
}

// waiverSchema is a line of a file of waivers: a waiver of a check, a comment, or nothing.
func waiverSchema() map[string]any {
	var ids []string
	for _, c := range checks.All() {
		ids = append(ids, regexp.QuoteMeta(c.ID))
	}
	slices.Sort(ids)
	return map[string]any{
		"type":        "string",
		"description": "ID [until YYYY-MM-DD] = reason",
		"pattern":     `^\s*(#.*|(` + strings.Join(ids, "|") + `)(\s+until\s+\d{4}-\d{2}-\d{2})?\s*=\s*\S.*)?$`,
	}
}

// planSchemaOf is the schema of a plan, by the flags of all commands.
func planSchemaOf() map[string]any {
	orVariable := func(s map[string]any) map[string]any {
		return map[string]any{"anyOf": []any{s, map[string]any{"type": "string", "pattern": `\$\{`}}}
	}
	defs := map[string]any{
		"integer":  orVariable(map[string]any{"type": "integer"}),
		"boolean":  orVariable(map[string]any{"type": "boolean"}),
		"duration": orVariable(map[string]any{"anyOf": []any{map[string]any{"const": 0}, map[string]any{"type": "string", "pattern": `^(0|([0-9.]+(ns|us|µs|ms|s|m|h))+)$`}}}),
		"size":     orVariable(map[string]any{"type": []string{"integer", "string"}}),
		"text":     map[string]any{"type": []string{"string", "number", "boolean"}},
		"waiver":   orVariable(waiverSchema()),
	}
	ref := func(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }
	var commands []string
	var choose []any
	for name, cmd := range plannable() {
		commands = append(commands, name)
		keys := map[string]any{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			_, usage := pflag.UnquoteUsage(f)
			one := ref("text")
			switch kind := f.Value.Type(); {
			case kind == "int" || kind == "int64" || kind == "uint64":
				one = ref("integer")
			case kind == "bool":
				one = ref("boolean")
			case kind == "duration" || kind == "size":
				one = ref(kind)
			case f.Name == "ignore":
				one = ref("waiver")
			case f.Name == planStages:
				keys[f.Name] = map[string]any{"description": "how many workers are held over time, by one fleet", "type": "array", "minItems": 1, "items": ref("stage")}
				return
			}
			if _, many := f.Value.(pflag.SliceValue); many {
				keys[f.Name] = map[string]any{"description": usage, "anyOf": []any{one, map[string]any{"type": "array", "minItems": 1, "items": one}}}
				return
			}
			one["description"] = usage
			keys[f.Name] = one
		})
		id := strings.ReplaceAll(name, " ", "-")
		defs["flags-of-"+id] = map[string]any{"properties": keys}
		is := map[string]any{"properties": map[string]any{planCommand: map[string]any{"const": name}}}
		if name != defaultCommand {
			is["required"] = []string{planCommand}
		}
		choose = append(choose, map[string]any{"if": is, "then": ref("flags-of-" + id)})
	}
	slices.Sort(commands)
	slices.SortFunc(choose, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	defs["stage"] = stageSchema(ref)
	return map[string]any{
		"title": "A plan of fltool: a command's flags as data",
		"type":  "object",
		"properties": map[string]any{
			planCommand: map[string]any{"description": "the command that is run", "enum": commands, "default": defaultCommand},
			planArgs:    map[string]any{"description": "what stands behind the flags", "anyOf": []any{ref("text"), map[string]any{"type": "array", "items": ref("text")}}},
		},
		"allOf":                 choose,
		"unevaluatedProperties": false,
		"$defs":                 defs,
	}
}

// stageSchema is the schema of a stage: of one shape, for a time; or as --stages takes it.
func stageSchema(ref func(string) map[string]any) map[string]any {
	var shapes []any
	for name, means := range map[string]string{
		loadgen.ShapeHold:  "so many workers are held",
		loadgen.ShapeRamp:  "evenly to so many workers, in that time",
		loadgen.ShapeSpike: "so many workers, who come at once, are held",
		loadgen.ShapeSteps: "from so many workers up to so many, each held for that time",
		loadgen.ShapeWave:  "from so many workers to so many and back, each held for that time",
		loadgen.ShapeChurn: "so many workers are held, of whom some leave each second and come back",
	} {
		parts := loadgen.StageParts(name)
		value := ref("integer")
		if len(parts) > 1 {
			keys := map[string]any{}
			for _, part := range parts {
				keys[part] = ref("integer")
			}
			if name == loadgen.ShapeChurn {
				keys["leave"] = map[string]any{"type": []string{"number", "string"}}
			}
			value = map[string]any{"type": "object", "properties": keys, "required": parts, "additionalProperties": false}
		}
		value["description"] = means
		shapes = append(shapes, map[string]any{
			"type": "object", "required": []string{name, stageFor}, "additionalProperties": false,
			"properties": map[string]any{name: value, stageFor: ref("duration")},
		})
	}
	slices.SortFunc(shapes, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return map[string]any{
		"description": "how many workers are held, for how long",
		"anyOf":       append(shapes, map[string]any{"type": "string", "pattern": `^(` + strings.Join(loadgen.StageShapes(), "|") + `):`}),
	}
}

// published compiles a published schema.
func published(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../docs/schema/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return s.Validate(doc)
}

// asJSON is a document of YAML as JSON.
func asJSON(t *testing.T, text string) string {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Real files are what the schemas say.
func TestSchemasTakeRealFiles(t *testing.T) {
	report, total := published(t, "report"), 0
	for _, pattern := range []string{"../../.github/baseline/*.json", "../../reports/render/testdata/*.json.golden"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text := readFile(t, file)
			if !strings.Contains(text, reports.Schema) {
				continue // a comparison, a trend
			}
			total++
			if err := valid(t, report, text); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if total < 15 {
		t.Errorf("only %d reports", total)
	}

	world := newWorld(t)
	if err := valid(t, published(t, "facts"), readFile(t, filepath.Join(world, "app.json"))); err != nil {
		t.Errorf("facts: %v", err)
	}
	var lines []string
	for line := range strings.Lines(readFile(t, filepath.Join(world, "waivers"))) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	b, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := valid(t, published(t, "waivers"), string(b)); err != nil {
		t.Errorf("waivers: %v", err)
	}

	var r reports.Report
	if err := json.Unmarshal([]byte(readFile(t, "../../.github/baseline/rounds-01.json")), &r); err != nil {
		t.Fatal(err)
	}
	b, err = json.Marshal([]trend.Entry{trend.EntryOf(r, "abc")})
	if err != nil {
		t.Fatal(err)
	}
	if err := valid(t, published(t, "history"), string(b)); err != nil {
		t.Errorf("history: %v", err)
	}
}

// Plans are what their schema says: those of the manual, and those of every example.
func TestPlanSchema(t *testing.T) {
	s, total := published(t, "plan"), 0
	take := func(text string) {
		total++
		if _, err := parsePlan("plan.yaml", []byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if err := valid(t, s, asJSON(t, text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readFile(t, "../../docs/plan.md"), -1) {
		take(m[1])
	}
	for name, cmd := range plannable() {
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", "")) {
			for _, args := range fltoolIn(strings.TrimSpace(line)) {
				words := strings.Fields(name)
				if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
					continue
				}
				text, err := planText(args)
				if err != nil {
					t.Fatal(err)
				}
				take(text)
			}
		}
	}
	if total < 25 {
		t.Errorf("only %d plans", total)
	}
	for _, text := range []string{
		"worker: 5", "workers: x", "hold: 5", "workers: [1]", "command: nosuch", "command: preflight\nrounds: 5", "stages: []",
		"stages: [{hold: 5, fr: 1s}]", "stages: [{steps: {from: 1}, for: 1s}]", "stages: [{for: 1s}]", "stages: [{hold: 5, workers: 5, for: 1s}]", "stages: [hold]", "stages: {hold: 5}", "command: capacity\nstages: [{hold: 5, for: 1s}]", "command: preflight\nignore: nosuch/check = x", "slo: {a: b}",
	} {
		if valid(t, s, asJSON(t, text)) == nil {
			t.Errorf("the schema takes %q", text)
		}
		if _, err := parsePlan("plan.yaml", []byte(text)); err == nil && !strings.Contains(text, "ignore") {
			t.Errorf("a plan may be %q", text)
		}
	}
}

// The schemas refuse what the readers refuse.
func TestSchemasRefuse(t *testing.T) {
	good := readFile(t, "../../.github/baseline/rounds-01.json")
	for name, texts := range map[string][]string{
		"report":  {`{}`, strings.Replace(good, `"verdict"`, `"verdikt"`, 1), strings.Replace(good, reports.Schema, "fltool.report/v9", 1)},
		"facts":   {`{}`, `{"schema": "fltool.facts/v1"}`},
		"history": {`{}`, `[{}]`},
		"waivers": {`["nosuch/check = x"]`, `["app/accept-queue"]`, `["app/accept-queue until tomorrow = x"]`, `[5]`},
	} {
		s := published(t, name)
		for _, text := range texts {
			if text == good {
				t.Fatal("nothing was changed")
			}
			if valid(t, s, text) == nil {
				t.Errorf("%s takes %.80s", name, text)
			}
		}
	}
	var b bytes.Buffer
	if code := run([]string{"schema", "plan"}, nil, &b, &b); code != exitGood || b.String() != readFile(t, "../../docs/schema/plan.json") {
		t.Errorf("schema plan ends with %d", code)
	}
}
