package fleet

import "fmt"

// slurm is a job array in a folder that all nodes see, and what submits it, waits for it
// and adds the reports up.
func slurm(f Fleet) ([]File, error) {
	var job, submit text
	memory, fds := f.memory(), f.descriptors()
	job.line("#!/bin/sh\n#SBATCH --job-name=%s\n#SBATCH --array=1-%d\n#SBATCH --nodes=1\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=1", f.Name, len(f.Shards))
	job.line("#SBATCH --mem=%dM\n#SBATCH --output=logs/%%a.log", 2*mebibytes(memory.value))
	job.comment(0, fmt.Sprintf("%d tasks at once: the partition must have room for all, since each waits for the others' rounds.", len(f.Shards)))
	job.comment(0, fmt.Sprintf("Memory is twice %d MiB: %s.", mebibytes(memory.value), memory.rests))
	job.comment(0, fmt.Sprintf("%d descriptors: %s. Slurm gives a job the limits of who submits it.", fds.value, fds.rests))
	job.line("%s", f.shell("./fltool", `"keys/$SLURM_ARRAY_TASK_ID"`, f.out("reports", "$SLURM_ARRAY_TASK_ID.json")))

	submit.line("#!/bin/sh")
	submit.comment(0, "Submits the array, waits for its end and adds the reports up. The exit code is that of the whole run's verdict.")
	submit.line("set -eu\ncd \"$(dirname \"$0\")\"\nrm -rf reports\nmkdir -p reports logs")
	switch {
	case f.Start.After > 0:
		submit.comment(0, "in time for all nodes: where tasks wait in the queue for longer they refuse to start")
		submit.line("%s=$(date -u -d '+%d seconds' +%%Y-%%m-%%dT%%H:%%M:%%SZ)\nexport %s", startVariable, f.Start.seconds(), startVariable)
	case !f.Start.At.IsZero():
		submit.line("export %s=%s", startVariable, moment(f.Start.At))
	}
	submit.comment(0, "a shard's exit code is that of its verdict, which is in its report")
	submit.line("sbatch --wait --export=ALL fleet.sbatch || true\nexec ./fltool report --out whole.json reports")
	return append([]File{{"fleet.sbatch", open, job.bytes()}, {"submit.sh", run, submit.bytes()}}, f.onDisk()...), nil
}
