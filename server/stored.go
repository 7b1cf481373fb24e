package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
)

// record is one change of the state. Those of its fields that are set are made, in
// this order.
type record struct {
	Mode     string        `json:"mode,omitempty"` // "safe" or "unsafe"
	Base     int64         `json:"base,omitempty"` // with Mode: the version before that of round 1
	Worker   *storedWorker `json:"worker,omitempty"`
	Left     string        `json:"left,omitempty"`    // a worker that is forgotten
	Temp     string        `json:"temp,omitempty"`    // a file that is about to be written
	Model    *modelFile    `json:"model,omitempty"`   // about to be written, or written
	Version  int64         `json:"version,omitempty"` // published: the round that works on the last such model
	Accepted *accepted     `json:"accepted,omitempty"`
}

type storedWorker struct {
	ID         string `json:"id"`
	Order      int    `json:"order"`
	Registered bool   `json:"registered,omitempty"`
	Listed     bool   `json:"listed,omitempty"`
	Excused    bool   `json:"excused,omitempty"` // unregistered by the admin
	// Removed by the admin: a key that the key list still holds must not come back
	// with the next start.
	Removed bool `json:"removed,omitempty"`
}

// accepted is an update that counts for a round.
type accepted struct {
	Round  int64  `json:"round"`
	Worker string `json:"worker"`
}

// stored is all that a state says.
type stored struct {
	mode     string
	base     int64  // the version before that of round 1
	version  int64  // number of the round that works on the model; 0: the state is new
	current  string // the name of its model's file
	models   map[string]modelFile
	temps    []string
	workers  map[string]storedWorker
	accepted map[int64]set // by round

	model   []byte   // what current holds
	strange []string // files that look like models, and are not of this state
}

// add takes a record in.
func (all *stored) add(payload []byte) error {
	var r record
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("%w: %w", ErrStateDamaged, err)
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrStateDamaged, err)
	}
	if r.Mode != "" {
		all.mode, all.base = r.Mode, r.Base
	}
	if r.Worker != nil {
		all.workers[r.Worker.ID] = *r.Worker
	}
	if r.Left != "" {
		delete(all.workers, r.Left)
	}
	if r.Temp != "" {
		all.temps = append(all.temps, r.Temp)
	}
	if r.Model != nil {
		all.models[r.Model.Name] = *r.Model
	}
	if r.Version != 0 {
		all.publish(r.Version, r.Model.Name)
	}
	if r.Accepted != nil {
		of := all.accepted[r.Accepted.Round]
		if of == nil {
			of = set{}
			all.accepted[r.Accepted.Round] = of
		}
		of[r.Accepted.Worker] = struct{}{}
	}
	return nil
}

var newName = regexp.MustCompile(`^\.new-[0-9A-Za-z]+$`)

// check refuses what this package never writes. Names become those of files.
func (r *record) check() error {
	switch {
	case r.Worker != nil && !workerID.MatchString(r.Worker.ID):
		return fmt.Errorf("%q is no worker's id", r.Worker.ID)
	case r.Left != "" && !workerID.MatchString(r.Left):
		return fmt.Errorf("%q is no worker's id", r.Left)
	case r.Accepted != nil && (!workerID.MatchString(r.Accepted.Worker) || r.Accepted.Round < 1):
		return fmt.Errorf("%q of round %d is no update", r.Accepted.Worker, r.Accepted.Round)
	case r.Temp != "" && !newName.MatchString(r.Temp):
		return fmt.Errorf("%q is not a file that is being written", r.Temp)
	case r.Model != nil && !modelName.MatchString(r.Model.Name):
		return fmt.Errorf("%q is no model", r.Model.Name)
	case r.Version < 0 || r.Version > 0 && r.Model == nil:
		return fmt.Errorf("version %d has no model", r.Version)
	case r.Base < -1:
		return fmt.Errorf("%d is before no first version", r.Base)
	}
	return nil
}

func (all *stored) publish(version int64, name string) {
	all.version, all.current = version, name
	for n := range all.accepted {
		if n < version {
			delete(all.accepted, n)
		}
	}
}

// records is the shortest way to say all.
func (all *stored) records() []record {
	records := []record{{Mode: all.mode, Base: all.base}}
	for _, w := range all.workers {
		records = append(records, record{Worker: &w})
	}
	for name, m := range all.models {
		r := record{Model: &m}
		if name == all.current {
			r.Version = all.version
		}
		records = append(records, r)
	}
	for n, ids := range all.accepted {
		for id := range ids {
			records = append(records, record{Accepted: &accepted{n, id}})
		}
	}
	return records
}
