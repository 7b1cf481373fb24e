package kinds

import (
	"fmt"
	"iter"
	"net"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fltool/fltool/checks/facts"
)

// An envoyNode is a message of a bootstrap or a field of one.
type envoyNode struct {
	node *yaml.Node // nil: it is not set
	file string
}

// parseEnvoy reads a bootstrap in YAML or JSON.
func parseEnvoy(text, file string) (envoyNode, error) {
	if path.Ext(file) == ".json" {
		text = strings.ReplaceAll(text, "\t", " ") // YAML does not indent by tabs; a string of JSON holds none
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return envoyNode{}, fmt.Errorf("%s: %w", file, err)
	}
	var all any // refuses anchors that hold themselves, and such as grow without bound
	if err := doc.Decode(&all); err != nil {
		return envoyNode{}, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return envoyNode{}, fmt.Errorf("%s: it is no bootstrap of Envoy", file)
	}
	return envoyNode{doc.Content[0], file}, nil
}

// at is where it stands: "/etc/envoy/envoy.yaml:12".
func (e envoyNode) at() string {
	if e.node == nil {
		return e.file
	}
	return fmt.Sprintf("%s:%d", e.file, e.node.Line)
}

// errorf is an error at the place.
func (e envoyNode) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s", e.at(), fmt.Sprintf(format, args...))
}

// set says whether it is set.
func (e envoyNode) set() bool { return e.node != nil }

// resolved follows an alias; null is not set.
func (e envoyNode) resolved() envoyNode {
	if e.node != nil && e.node.Kind == yaml.AliasNode {
		e.node = e.node.Alias
	}
	if e.node == nil || e.node.Kind == yaml.ScalarNode && e.node.Tag == "!!null" {
		e.node = nil
	}
	return e
}

// get is the field below it that the names lead to. Both spellings of protobuf's
// JSON are known: max_requests and maxRequests.
func (e envoyNode) get(names ...string) envoyNode {
	for _, name := range names {
		e = e.field(name)
	}
	return e
}

func (e envoyNode) field(name string) envoyNode {
	for key, v := range e.fields() {
		if plainField(key) == plainField(name) {
			return v
		}
	}
	return envoyNode{nil, e.file}
}

// plainField is the name of a field, however it is spelled.
func plainField(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// fields are the fields of a message.
func (e envoyNode) fields() iter.Seq2[string, envoyNode] {
	return func(yield func(string, envoyNode) bool) {
		if e.node == nil || e.node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(e.node.Content); i += 2 {
			if !yield(e.node.Content[i].Value, envoyNode{e.node.Content[i+1], e.file}.resolved()) {
				return
			}
		}
	}
}

// list are its members that are set.
func (e envoyNode) list() (out []envoyNode) {
	if e.node == nil || e.node.Kind != yaml.SequenceNode {
		return nil
	}
	for _, n := range e.node.Content {
		if member := (envoyNode{n, e.file}).resolved(); member.set() {
			out = append(out, member)
		}
	}
	return out
}

// text is it as it is written, "" where it is not set or no text.
func (e envoyNode) text() string {
	if e.node == nil || e.node.Kind != yaml.ScalarNode {
		return ""
	}
	return e.node.Value
}

// envoyValue is a setting: the first that is set, else the default.
func envoyValue(def string, nodes ...envoyNode) facts.Value[string] {
	for _, e := range nodes {
		switch {
		case !e.set():
			continue
		case e.text() == "":
			return unread(e.errorf("it is no text"))
		}
		return known(e.text(), e.at())
	}
	return known(def, envoyDefault)
}

// kind is the last part of the type of an extension's config: "HttpConnectionManager".
func (e envoyNode) kind() string {
	t := e.get("typed_config", "@type").text()
	return t[strings.LastIndexAny(t, "./")+1:]
}

// address is one as the chain compares it.
func (e envoyNode) address() (string, error) {
	if file := e.get("pipe", "path"); file.set() {
		return "unix:" + file.text(), nil
	}
	s := e.get("socket_address")
	host, port := s.get("address").text(), s.get("port_value").text()
	switch {
	case host != "" && port != "":
		return net.JoinHostPort(host, port), nil
	}
	return "", e.errorf("an address without a host and the number of a port is not read")
}
