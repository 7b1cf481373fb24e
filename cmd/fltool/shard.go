package main

import (
	"strconv"
	"strings"

	"github.com/fltool/fltool/reports"
)

// What is said of the flags of a shard.
const (
	shardUsage = "k/n: drive only the k-th of n parts of the workers (merge the reports with fltool report); auto: the one that Kubernetes, Slurm, Nomad or FLTOOL_SHARD names"
	startUsage = "start at this `TIME` (2026-03-01T12:00:00Z), or after +30s, so that all shards do"
)

// autoShard is the --shard that the environment's engine names.
const autoShard = "auto"

// How an engine tells each of its tasks which one it is.
const (
	ownShard  = "FLTOOL_SHARD"  // k/n, as --shard
	ownShards = "FLTOOL_SHARDS" // n, where the engine tells k alone

	jobIndex   = "JOB_COMPLETION_INDEX" // of an Indexed Job of Kubernetes, from 0
	allocIndex = "NOMAD_ALLOC_INDEX"    // of a task group of Nomad, from 0
	arrayID    = "SLURM_ARRAY_TASK_ID"  // of a job array of Slurm, from the array's first
	arrayCount = "SLURM_ARRAY_TASK_COUNT"
	arrayMin   = "SLURM_ARRAY_TASK_MIN"
	arrayMax   = "SLURM_ARRAY_TASK_MAX"
	arrayStep  = "SLURM_ARRAY_TASK_STEP"
)

// parseShard reads k/n; nil is no shard.
func parseShard(s string) (*reports.Shard, error) {
	if s == "" {
		return nil, nil
	}
	return shardOf("--shard", s)
}

// shardOf reads k/n, which a flag or a variable has.
func shardOf(name, s string) (*reports.Shard, error) {
	k, n, _ := strings.Cut(s, "/")
	index, err1 := strconv.Atoi(k)
	count, err2 := strconv.Atoi(n)
	switch {
	case err1 != nil || err2 != nil || index < 1 || index > count:
		return nil, usageError("", "%s %q: want k/n with k from 1 to n", name, s)
	case count > reports.MaxShards:
		return nil, usageError("", "%s %q: a run has at most %d shards", name, s, reports.MaxShards)
	}
	return &reports.Shard{Index: index, Count: count}, nil
}

// environment is what the variables of this process say.
type environment func(name string) (value string, set bool)

// shard is the one that an engine has this process drive, as --shard takes it. What the
// user says of it goes before what an engine says, which may run within another.
func (env environment) shard() (string, error) {
	if s, set := env(ownShard); set {
		_, err := shardOf(ownShard, s)
		return s, err
	}
	for _, index := range []string{jobIndex, arrayID, allocIndex} {
		if _, set := env(index); !set {
			continue
		}
		if index == arrayID {
			return env.ofArray()
		}
		return env.ofIndex(index)
	}
	return "", usageError("for example "+ownShard+"=3/20", "--shard auto: none of %s (with %s), %s, %s (with %s) and %s is set",
		jobIndex, ownShards, arrayID, allocIndex, ownShards, ownShard)
}

// ofIndex is the shard of an index from 0, of an engine that does not tell how many
// there are.
func (env environment) ofIndex(name string) (string, error) {
	index, err := env.number(name)
	if err != nil {
		return "", err
	}
	if _, set := env(ownShards); !set {
		return "", usageError("set it to the number of shards", "--shard auto: %s is set, and %s is not", name, ownShards)
	}
	count, err := env.number(ownShards)
	if err != nil {
		return "", err
	}
	return numbered(name, index, count)
}

// ofArray is the shard of a task of Slurm's, whose numbers need not begin at 0.
func (env environment) ofArray() (string, error) {
	at := map[string]int{arrayStep: 1}
	for _, name := range []string{arrayID, arrayCount, arrayMin, arrayMax, arrayStep} {
		if _, set := env(name); !set && name == arrayStep {
			continue
		}
		n, err := env.number(name)
		if err != nil {
			return "", err
		}
		at[name] = n
	}
	step, offset := at[arrayStep], at[arrayID]-at[arrayMin]
	if step < 1 || offset%step != 0 || (at[arrayMax]-at[arrayMin])/step+1 != at[arrayCount] {
		return "", usageError("submit it with --array=1-N", "--shard auto: the %d tasks of Slurm's array, %d to %d, are not evenly apart", at[arrayCount], at[arrayMin], at[arrayMax])
	}
	return numbered(arrayID, offset/step, at[arrayCount])
}

func (env environment) number(name string) (int, error) {
	value, set := env(name)
	n, err := strconv.Atoi(value)
	switch {
	case !set:
		return 0, usageError("", "--shard auto: %s is not set", name)
	case err != nil || n < 0:
		return 0, usageError("", "--shard auto: %s is %q: want a whole number", name, value)
	}
	return n, nil
}

// numbered is the shard with an index from 0 that a variable gave.
func numbered(name string, index, count int) (string, error) {
	if index >= count {
		return "", usageError("", "--shard auto: %s makes it number %d of %d shards", name, index+1, count)
	}
	s := strconv.Itoa(index+1) + "/" + strconv.Itoa(count)
	_, err := shardOf("--shard auto:", s)
	return s, err
}
