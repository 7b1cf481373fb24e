package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// DefaultMaxUpdate is how large an update may be when Config does not say, in
// bytes before compression.
const DefaultMaxUpdate = 100_000_000

// Config is what a server is made of. Keys or Unsafe, and Model, must be given.
type Config struct {
	Keys   []string // public keys of the workers that may take part
	Unsafe bool     // anybody may, and nothing is checked; Keys must be empty

	Model          []byte        // the first version; not to be changed afterwards
	FirstVersion   *int64        // of Model, at least 0; nil: 1. A state keeps its own
	Updates        UpdatePolicy  // which of a worker's updates counts in a round
	Round          Policy        // when a round ends; All is not for Unsafe
	RoundTimeout   time.Duration // after its first update a round ends with what it has; 0: never
	MaxHold        time.Duration // after which a poll is ended with a text; 0: never
	MaxUpdate      int64         // bytes before compression; 0: DefaultMaxUpdate
	MaxInflation   int64         // how many times its size an update may inflate to, above 1 MB; 0: DefaultMaxInflation
	MaxUploads     int           // updates on their way at a time; others wait; 0: DefaultMaxUploads
	MaxStrangers   int           // connections of one address that are not workers'; 0: DefaultMaxStrangers
	StrangerIdle   time.Duration // after which such a connection is closed; 0: DefaultStrangerIdle
	MaxWorkers     int           // that may take part; more are refused; 0: DefaultMaxWorkers
	MaxConnections int           // open at a time; more are refused; 0: as many as there are descriptors
	MaxMemory      int64         // bytes, above which neither connections nor updates are taken on; 0: any
	AddressRate    float64       // requests a second of one address, but a worker's connections'; 0: DefaultAddressRate, below: any
	WorkerRate     float64       // requests a second of one worker; 0: DefaultWorkerRate, below: any
	State          string        // directory that survives restarts; "": memory only
	KeepUpdates    bool          // as a Keeper in the directory updates below State, without another Aggregator
	KeepFree       int64         // bytes of the disk that it leaves free; 0: DefaultKeepFree
	Aggregator     Aggregator    // nil: Counter

	// Name and password of the admin; with either empty nobody is.
	AdminUsername, AdminPassword string
	AdminApart                   bool // its routes are Admin's alone

	Log *slog.Logger // nil: none
}

// complete puts the defaults in, and says what can't be.
func (cfg *Config) complete() error {
	switch {
	case cfg.Unsafe && len(cfg.Keys) > 0:
		return errors.New("an unsafe server has no key list")
	case cfg.Unsafe && cfg.Round == All:
		return errors.New("an unsafe server does not know whom to wait for: a round needs a number or a percentage")
	case !cfg.Unsafe && len(cfg.Keys) == 0 && !newAdmin(cfg.AdminUsername, cfg.AdminPassword).set:
		return errors.New("no keys, and no admin who could add one: no worker could take part")
	case !cfg.Unsafe && len(cfg.Keys) == 0 && cfg.Round == All:
		return errors.New("no keys: a round of all has nobody to wait for, and needs a number or a percentage")
	case cfg.FirstVersion != nil && *cfg.FirstVersion < 0:
		return errors.New("the first version is below 0")
	case cfg.KeepUpdates && (cfg.State == "" || cfg.Aggregator != nil):
		return errors.New("updates are kept below a state, and without another aggregator")
	case len(cfg.Keys) > cmp.Or(cfg.MaxWorkers, DefaultMaxWorkers):
		return fmt.Errorf("the key list has %d keys, and %d workers may take part", len(cfg.Keys), cmp.Or(cfg.MaxWorkers, DefaultMaxWorkers))
	}
	cfg.MaxUpdate = min(cmp.Or(cfg.MaxUpdate, DefaultMaxUpdate), math.MaxInt64/2) // more is added to it
	cfg.MaxInflation = cmp.Or(cfg.MaxInflation, DefaultMaxInflation)
	cfg.MaxUploads = cmp.Or(cfg.MaxUploads, DefaultMaxUploads)
	cfg.MaxStrangers = cmp.Or(cfg.MaxStrangers, DefaultMaxStrangers)
	cfg.MaxWorkers = cmp.Or(cfg.MaxWorkers, DefaultMaxWorkers)
	cfg.AddressRate = cmp.Or(cfg.AddressRate, DefaultAddressRate)
	cfg.WorkerRate = cmp.Or(cfg.WorkerRate, DefaultWorkerRate)
	cfg.StrangerIdle = cmp.Or(cfg.StrangerIdle, DefaultStrangerIdle)
	if cfg.Aggregator == nil {
		cfg.Aggregator = Counter{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
