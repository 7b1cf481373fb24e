package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// kedaModule is the release whose definition of a ScaledObject counts. Only that file
// is read: its Go types would bring half of Kubernetes with them.
const kedaModule = "github.com/kedacore/keda/v2@v2.21.0"

// ScaledObject is what is looked at of one, beside KEDA's own schema.
type ScaledObject struct {
	Spec struct {
		MinReplicaCount, MaxReplicaCount int
		Triggers                         []struct{ Metadata map[string]string }
	}
}

// UnmarshalJSON holds the object to KEDA's schema first.
func (s *ScaledObject) UnmarshalJSON(text []byte) error {
	schema, err := kedaSchema()
	if err != nil {
		return err
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	if err := schema.Validate(doc); err != nil {
		return err
	}
	type plain ScaledObject
	return json.Unmarshal(text, (*plain)(s))
}

var kedaSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	out, err := exec.Command("go", "mod", "download", "-json", kedaModule).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kedaModule, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, "config/crd/bases/keda.sh_scaledobjects.yaml"))
	if err != nil {
		return nil, err
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema map[string]any }
			}
		}
	}
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return nil, err
	}
	for _, v := range definition.Spec.Versions {
		if v.Name != "v1alpha1" {
			continue
		}
		closed(v.Schema.OpenAPIV3Schema)
		v.Schema.OpenAPIV3Schema["properties"].(map[string]any)["metadata"] = map[string]any{"type": "object"}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("scaledobject.json", v.Schema.OpenAPIV3Schema); err != nil {
			return nil, err
		}
		return c.Compile("scaledobject.json")
	}
	return nil, fmt.Errorf("%s defines no ScaledObject of v1alpha1", kedaModule)
})

// closed has a schema refuse what it does not name, as strict decoding does.
func closed(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, object := s["properties"].(map[string]any); object && s["additionalProperties"] == nil && s["x-kubernetes-preserve-unknown-fields"] == nil {
			s["additionalProperties"] = false
		}
		for _, v := range s {
			closed(v)
		}
	case []any:
		for _, v := range s {
			closed(v)
		}
	}
}
