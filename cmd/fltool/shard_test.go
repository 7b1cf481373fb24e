package main

import (
	"strings"
	"testing"
	"time"
)

func TestAutoShard(t *testing.T) {
	const slurm = "SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=3 "
	for vars, want := range map[string]string{
		"FLTOOL_SHARD=3/20":                                                                            "3/20",
		"FLTOOL_SHARD=3/20 JOB_COMPLETION_INDEX=0":                                                     "3/20",
		"JOB_COMPLETION_INDEX=0 FLTOOL_SHARDS=20":                                                      "1/20",
		"JOB_COMPLETION_INDEX=19 FLTOOL_SHARDS=20":                                                     "20/20",
		"NOMAD_ALLOC_INDEX=2 FLTOOL_SHARDS=3":                                                          "3/3",
		"SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_STEP=1 " + slurm:                                       "1/4",
		"SLURM_ARRAY_TASK_ID=3 " + slurm + "NOMAD_ALLOC_INDEX=0":                                       "4/4",
		"SLURM_ARRAY_TASK_ID=8 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_MAX=8": "4/4",
		"SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_STEP=2 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=7": "2/3",

		// What can't be told is an error that says why.
		"":                       "none of JOB_COMPLETION_INDEX (with FLTOOL_SHARDS), SLURM_ARRAY_TASK_ID, NOMAD_ALLOC_INDEX (with FLTOOL_SHARDS) and FLTOOL_SHARD is set",
		"FLTOOL_SHARDS=3":        "none of",
		"FLTOOL_SHARD=21/20":     `FLTOOL_SHARD "21/20": want k/n`,
		"FLTOOL_SHARD=":          `FLTOOL_SHARD "": want k/n`,
		"JOB_COMPLETION_INDEX=0": "JOB_COMPLETION_INDEX is set, and FLTOOL_SHARDS is not",
		"JOB_COMPLETION_INDEX=20 FLTOOL_SHARDS=20":  "makes it number 21 of 20 shards",
		"JOB_COMPLETION_INDEX=x FLTOOL_SHARDS=20":   `JOB_COMPLETION_INDEX is "x"`,
		"JOB_COMPLETION_INDEX=0 FLTOOL_SHARDS=5000": "at most 1024 shards",
		"SLURM_ARRAY_TASK_ID=1":                     "SLURM_ARRAY_TASK_COUNT is not set",
		"SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=5": "not evenly apart",
	} {
		env := map[string]string{}
		for _, v := range strings.Fields(vars) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		got, err := environment(func(name string) (string, bool) { v, ok := env[name]; return v, ok }).shard()
		if err != nil {
			got = err.Error()
		}
		if got != want && !(err != nil && strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", vars, got, want)
		}
	}
}

func TestStartTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"":                          "0001-01-01T00:00:00Z",
		"+30s":                      "2026-03-01T12:00:30Z",
		"2026-03-01T12:00:01Z":      "2026-03-01T12:00:01Z",
		"2026-03-01T14:00:01+02:00": "2026-03-01T14:00:01+02:00",

		"2026-03-01T11:59:59Z": "that was 1s ago",
		"+-5s":                 "that was 5s ago",
		"30s":                  "want a time such as 2026-03-01T12:01:00Z, or +30s",
		"noon":                 "want a time such as",
	} {
		at, err := startTime(s, now)
		got := at.Format(time.RFC3339)
		if err != nil {
			got = err.Error()
		}
		if got != want && !(err != nil && strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
