package fleet

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/fltool/fltool/server/wire"
)

// objectBytes is what the values of a Secret or ConfigMap may have in all.
const objectBytes = 1 << 20

// Where a container finds what it is given, and puts what it makes.
const (
	keysMount    = "/etc/fltool/keys"
	filesMount   = "/etc/fltool/files"
	reportsMount = "/reports"
)

// kubernetes is an Indexed Job, each of whose pods is a shard, with a Secret for the keys
// of each.
func kubernetes(f Fleet) ([]File, error) {
	if f.Start.After != 0 {
		return nil, fmt.Errorf("pods don't begin together, so --start-at has to be a time, such as 2026-03-01T12:00:00Z")
	}
	var secrets, job text
	for i, s := range f.Shards {
		if len(s.Keys) > objectBytes {
			return nil, fmt.Errorf("the keys of shard %d take %d bytes, and a Secret holds %d: want more shards", i+1, len(s.Keys), objectBytes)
		}
		if f.keyed() {
			secrets.object("v1", "Secret", fmt.Sprintf("%s-keys-%d", f.Name, i), f.Name)
			secrets.line("type: Opaque\nimmutable: true\ndata:\n  %s: %s", wire.KeyBundleFile, base64.StdEncoding.EncodeToString(s.Keys))
		}
	}
	size := 0
	if len(f.Files) > 0 {
		job.object("v1", "ConfigMap", f.Name+"-files", f.Name)
		job.line("binaryData:")
		for _, in := range f.Files {
			job.line("  %s: %s", in.Name, base64.StdEncoding.EncodeToString(in.Content))
			size += len(in.Content)
		}
	}
	if size > objectBytes {
		return nil, fmt.Errorf("the files that shards read take %d bytes, and a ConfigMap holds %d: --update-size makes updates of any size", size, objectBytes)
	}
	job.job(f)
	var files []File
	if f.keyed() {
		files = append(files, File{"secrets.yaml", secret, secrets.bytes()})
	}
	return append(files, File{"job.yaml", open, job.bytes()}), nil
}

// object begins one; all have the label by which they are found, and deleted.
func (t *text) object(api, kind, name, of string) {
	t.line("---\napiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  labels:\n    app.kubernetes.io/name: %s", api, kind, name, of)
}

func (t *text) job(f Fleet) {
	n := len(f.Shards)
	t.object("batch/v1", "Job", f.Name, f.Name)
	t.comment(0, fmt.Sprintf("%d shards at once: the cluster must have room for all, since each waits for the others' rounds", n))
	t.line("spec:\n  completionMode: Indexed\n  completions: %d\n  parallelism: %d", n, n)
	t.comment(2, "no shard runs twice, and none is ended since another one failed: its report has the verdict (from Kubernetes 1.29 on)")
	t.line("  backoffLimitPerIndex: 0")
	t.line("  template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: %s\n    spec:", f.Name)
	t.line("      restartPolicy: Never\n      automountServiceAccountToken: false\n      enableServiceLinks: false")
	t.line("      securityContext:\n        runAsNonRoot: true\n        runAsUser: 65532\n        runAsGroup: 65532\n        fsGroup: 65532\n        seccompProfile:\n          type: RuntimeDefault")
	t.line("      topologySpreadConstraints:\n        - maxSkew: 1\n          topologyKey: kubernetes.io/hostname\n          whenUnsatisfiable: ScheduleAnyway\n          labelSelector:\n            matchLabels:\n              app.kubernetes.io/name: %s", f.Name)
	t.line("      containers:\n        - name: fltool\n          image: %s\n          args:", quoted(f.Image))
	for _, arg := range f.inPod() {
		t.line("            - %s", quoted(arg))
	}
	t.comment(10, "with JOB_COMPLETION_INDEX, which the Job sets, this says which shard it is")
	t.line("          env:\n            - name: FLTOOL_SHARDS\n              value: %s", quoted(fmt.Sprint(n)))
	t.line("          resources:\n            requests:")
	t.comment(14, "not measured for a load of yours: a generator that has too little is late, and then its verdict is refused and not the server's")
	t.line("              cpu: \"1\"")
	memory := f.memory()
	t.comment(14, memory.rests)
	t.line("              memory: %dMi", mebibytes(memory.value))
	t.line("            limits:")
	t.comment(14, "twice the request, for models and what was not measured")
	t.line("              memory: %dMi", 2*mebibytes(memory.value))
	fds := f.descriptors()
	t.comment(10, fmt.Sprintf("%d descriptors: %s. A pod has no field for them: the limit is that of the node's container runtime", fds.value, fds.rests))
	t.line("          securityContext:\n            readOnlyRootFilesystem: true\n            allowPrivilegeEscalation: false\n            capabilities:\n              drop: [ALL]")
	t.volumes(f)
}

// inPod are fltool's arguments, of which Kubernetes puts variables into $(NAME).
func (f Fleet) inPod() (args []string) {
	for _, arg := range f.Args {
		args = append(args, strings.ReplaceAll(arg, "$", "$$"))
	}
	args = append(args, "--shard=auto")
	if f.keyed() {
		args = append(args, "--keys="+keysMount)
	}
	for _, in := range f.Files {
		args = append(args, fmt.Sprintf("--%s=%s/%s", in.Flag, filesMount, in.Name))
	}
	if !f.Start.At.IsZero() {
		args = append(args, "--start-at="+moment(f.Start.At))
	}
	if f.Claim == "" {
		return append(args, "--format=log")
	}
	return append(args, f.out(reportsMount, "$(JOB_COMPLETION_INDEX).json"))
}

func (t *text) volumes(f Fleet) {
	var mounts, volumes text
	if f.keyed() {
		mounts.comment(12, "the folder of this shard alone: it sees no key of another one's")
		mounts.line("            - name: keys\n              mountPath: %s\n              subPathExpr: $(JOB_COMPLETION_INDEX)\n              readOnly: true", keysMount)
		volumes.line("        - name: keys\n          projected:\n            defaultMode: 0440\n            sources:")
		for i := range f.Shards {
			volumes.line("              - secret:\n                  name: %s-keys-%d\n                  items:\n                    - key: %s\n                      path: %d/%s", f.Name, i, wire.KeyBundleFile, i, wire.KeyBundleFile)
		}
	}
	if len(f.Files) > 0 {
		mounts.line("            - name: files\n              mountPath: %s\n              readOnly: true", filesMount)
		volumes.line("        - name: files\n          configMap:\n            name: %s-files", f.Name)
	}
	if f.Claim != "" {
		mounts.line("            - name: reports\n              mountPath: %s", reportsMount)
		volumes.comment(8, "one that all nodes may write: ReadWriteMany")
		volumes.line("        - name: reports\n          persistentVolumeClaim:\n            claimName: %s", f.Claim)
	}
	if mounts.Len() > 0 {
		t.line("          volumeMounts:\n%s      volumes:\n%s", mounts.String(), strings.TrimSuffix(volumes.String(), "\n"))
	}
}
