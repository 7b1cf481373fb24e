// Package deploy holds what fltool emits for others to read to those others' own
// definitions. It is a module of its own, so that nothing of it is in fltool.
package deploy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// kinds are what may be emitted, by version and kind.
var kinds = map[string]func() any{
	"v1 Service":                             func() any { return &core.Service{} },
	"v1 Secret":                              func() any { return &core.Secret{} },
	"v1 ConfigMap":                           func() any { return &core.ConfigMap{} },
	"batch/v1 Job":                           func() any { return &batch.Job{} },
	"apps/v1 Deployment":                     func() any { return &apps.Deployment{} },
	"apps/v1 StatefulSet":                    func() any { return &apps.StatefulSet{} },
	"policy/v1 PodDisruptionBudget":          func() any { return &policy.PodDisruptionBudget{} },
	"autoscaling/v2 HorizontalPodAutoscaler": func() any { return &autoscaling.HorizontalPodAutoscaler{} },
	"keda.sh/v1alpha1 ScaledObject":          func() any { return &ScaledObject{} },
}

// decode reads a document as its kind has it: an unknown field, a wrong type, a field
// that is there twice are errors.
func decode(text []byte) (any, error) {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(text, &head); err != nil {
		return nil, err
	}
	kind := head.APIVersion + " " + head.Kind
	make, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("%q is no kind that fltool emits", kind)
	}
	object := make()
	return object, yaml.UnmarshalStrict(text, object)
}

// TestManifests decodes the manifests that packages render and fleet are held to.
func TestManifests(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../reports/render/testdata/manifest-*.golden", "../../loadgen/fleet/testdata/kubernetes-*.golden"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < 2 {
			t.Fatalf("%s: %d manifests: %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(append([]byte("\n"), text...), []byte("\n---\n"))[1:] {
			object, err := decode(doc)
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
				continue
			}
			seen[fmt.Sprintf("%T", object)] = true
			check(t, filepath.Base(file), object)
		}
	}
	if len(seen) != len(kinds) {
		t.Errorf("kinds decoded: %v, want all %d", seen, len(kinds))
	}
}

// check is what no decoding finds: what is asked for must fit together.
func check(t *testing.T, file string, object any) {
	pod := func(spec core.PodTemplateSpec, selector map[string]string) {
		for key, value := range selector {
			if spec.Labels[key] != value {
				t.Errorf("%s: the selector finds no pod: %s", file, key)
			}
		}
		if s := spec.Spec.TerminationGracePeriodSeconds; selector != nil && (s == nil || *s < 1) {
			t.Errorf("%s: no grace period", file)
		}
		for _, c := range spec.Spec.Containers {
			mounts := map[string]bool{}
			for _, m := range c.VolumeMounts {
				mounts[m.Name] = true
			}
			for _, v := range spec.Spec.Volumes {
				if !mounts[v.Name] {
					t.Errorf("%s: nothing mounts %s", file, v.Name)
				}
			}
			request, limit := c.Resources.Requests.Memory(), c.Resources.Limits.Memory()
			if request.IsZero() || limit.Cmp(*request) < 0 {
				t.Errorf("%s: memory %s, limit %s", file, request, limit)
			}
		}
	}
	switch o := object.(type) {
	case *apps.StatefulSet:
		pod(o.Spec.Template, o.Spec.Selector.MatchLabels)
	case *apps.Deployment:
		pod(o.Spec.Template, o.Spec.Selector.MatchLabels)
	case *batch.Job:
		pod(o.Spec.Template, nil)
		if n := o.Spec.Completions; n == nil || *n < 2 || *o.Spec.Parallelism != *n || *o.Spec.CompletionMode != batch.IndexedCompletion || *o.Spec.BackoffLimitPerIndex != 0 {
			t.Errorf("%s: its shards do not run once each, at the same time", file)
		}
		for _, v := range o.Spec.Template.Spec.Volumes {
			if p := v.Projected; p != nil && len(p.Sources) != int(*o.Spec.Completions) {
				t.Errorf("%s: %d Secrets for %d shards", file, len(p.Sources), *o.Spec.Completions)
			}
		}
	case *autoscaling.HorizontalPodAutoscaler:
		if o.Spec.MinReplicas == nil || *o.Spec.MinReplicas >= o.Spec.MaxReplicas {
			t.Errorf("%s: it scales from %v to %d", file, o.Spec.MinReplicas, o.Spec.MaxReplicas)
		}
	case *ScaledObject:
		if o.Spec.MinReplicaCount >= o.Spec.MaxReplicaCount || len(o.Spec.Triggers) != 1 || o.Spec.Triggers[0].Metadata["threshold"] == "" {
			t.Errorf("%s: %+v", file, o.Spec)
		}
	}
}

// TestStrict: what is no field of Kubernetes' is refused, so that the test above can fail.
func TestStrict(t *testing.T) {
	for _, text := range []string{
		"apiVersion: apps/v1\nkind: Deployment\nspec:\n  replica: 3\n",
		"apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: three\n",
		"apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec:\n  maxUnavailable: 1\n  maxUnavailable: 2\n",
		"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nspec:\n  maxReplicas: 3\n",
		"apiVersion: v1\nkind: Pod\n",
	} {
		if _, err := decode([]byte(text)); err == nil {
			t.Errorf("it takes\n%s", text)
		}
	}
}
