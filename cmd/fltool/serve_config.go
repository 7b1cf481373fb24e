package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"syscall"

	"github.com/fltool/fltool/server"
	"github.com/fltool/fltool/server/wire"
)

// config reads what the flags name.
func (f *serveFlags) config(log *slog.Logger) (server.Config, error) {
	cfg := server.Config{
		Unsafe:         f.unsafe,
		RoundTimeout:   f.roundTimeout,
		MaxHold:        f.maxHold,
		MaxUpdate:      int64(f.maxUpdateSize),
		MaxInflation:   f.maxInflation,
		MaxUploads:     f.maxUploads,
		MaxStrangers:   f.maxStrangers,
		StrangerIdle:   f.strangerIdle,
		MaxWorkers:     f.maxWorkers,
		MaxConnections: f.maxConnections,
		MaxMemory:      int64(f.maxMemory),
		AddressRate:    orAny(f.addressRate),
		WorkerRate:     orAny(f.workerRate),
		State:          f.state,
		KeepUpdates:    f.keepUpdates,
		KeepFree:       int64(f.keepFree),
		AdminUsername:  os.Getenv(envAdminUsername),
		AdminPassword:  os.Getenv(envAdminPassword),
		AdminApart:     f.adminListen != "",
		Log:            log,
	}
	admin := cfg.AdminUsername != "" && cfg.AdminPassword != ""
	switch {
	case f.adminListen != "" && !admin:
		return cfg, usageError("set "+envAdminUsername+" and "+envAdminPassword+" in the environment", "--admin-listen, and nobody is admin")
	case f.unsafePublic && !f.unsafe:
		return cfg, usageError("with --keys, only those who have one take part", "--unsafe-public needs --unsafe")
	case f.unsafe && f.keys != "":
		return cfg, usageError("choose one of them", "--unsafe and --keys exclude each other")
	case !f.unsafe && f.keys == "":
		return cfg, usageError("make keys with: fltool keys generate --workers 10 keys", "neither --keys nor --unsafe is given")
	case f.keepUpdates && f.state == "":
		return cfg, usageError("say where with --state DIR", "--keep-updates needs --state")
	case f.unbounded() != "":
		return cfg, usageError("without such a bound, anybody could stop the server", "%s: not above 0", f.unbounded())
	case f.maxConnections < 0 || f.addressRate < 0 || f.workerRate < 0:
		return cfg, usageError("0 stands for any", "a bound is negative")
	case f.keepFree > 0 && !f.keepUpdates:
		return cfg, usageError("it bounds what --keep-updates writes", "--keep-free needs --keep-updates")
	case f.roundTimeout < 0 || f.maxHold < 0 || f.drainTimeout < 0:
		return cfg, usageError("0 stands for never", "a duration is negative")
	case f.firstVersion < 0:
		return cfg, usageError("FedAvg's begin with 0, the stress test's with 1", "--first-version %d: below 0", f.firstVersion)
	case f.maxUpdateSize < 1:
		return cfg, usageError("the default is 100MB", "--max-update-size is 0")
	}
	round := f.round
	if round == "" {
		if f.unsafe {
			return cfg, usageError("say how many updates end a round: --round 10", "--unsafe needs --round N or P%%")
		}
		round = "all"
	}
	switch cfg.Updates = server.UpdatePolicy(f.updatePolicy); cfg.Updates {
	case server.FirstUpdate, server.LastUpdate:
	default:
		return cfg, usageError("policies are first and last", "--update-policy %s: not a policy", f.updatePolicy)
	}
	if f.firstAsked {
		cfg.FirstVersion = &f.firstVersion
	}
	var err error
	if cfg.Round, err = server.ParsePolicy(round); err != nil {
		return cfg, usageError("for example --round all, --round 10 or --round 80%", "--round %w", err)
	}
	if f.unsafe && cfg.Round == server.All {
		return cfg, usageError("say how many updates end a round: --round 10", "--unsafe with --round all: there is no key list to wait for")
	}
	if f.keys != "" {
		list, err := wire.ReadKeyList(f.keys)
		if err != nil {
			return cfg, usageError("fltool keys --help tells what a key list is", "read keys: %w", err)
		}
		cfg.Keys, f.odd = list.IDs, list.Odd()
		switch {
		case len(cfg.Keys) > f.maxWorkers:
			return cfg, usageError("raise --max-workers", "the key list has %d keys, and --max-workers %d may take part", len(cfg.Keys), f.maxWorkers)
		case len(cfg.Keys) > 0:
		case !admin:
			return cfg, usageError("set "+envAdminUsername+" and "+envAdminPassword+", and add workers by POST /workers", "read keys: no keys in %s, and no admin to add one", f.keys)
		case cfg.Round == server.All:
			return cfg, usageError("say how many updates end a round: --round 10", "no keys in %s: --round all has nobody to wait for", f.keys)
		}
	}
	cfg.Model, err = f.firstModel()
	return cfg, err
}

// orAny is a rate as a server takes it, for which 0 is another.
func orAny(rate float64) float64 {
	if rate == 0 {
		return -1
	}
	return rate
}

// unbounded is a bound that is none, "" if all are.
func (f *serveFlags) unbounded() string {
	switch {
	case f.maxInflation < 1:
		return fmt.Sprintf("--max-inflation %d", f.maxInflation)
	case f.maxWorkers < 1:
		return fmt.Sprintf("--max-workers %d", f.maxWorkers)
	case f.maxUploads < 1:
		return fmt.Sprintf("--max-uploads %d", f.maxUploads)
	case f.maxStrangers < 1:
		return fmt.Sprintf("--max-strangers %d", f.maxStrangers)
	case f.strangerIdle <= 0:
		return fmt.Sprintf("--stranger-idle %v", f.strangerIdle)
	}
	return ""
}

// firstModel reads or makes the model of version 1.
func (f *serveFlags) firstModel() ([]byte, error) {
	const hint = "models are sent with a 32-bit length"
	if f.model == "" {
		if f.modelSize > wire.MaxModel {
			return nil, usageError(hint, "--model-size %s: larger than 4 GiB", &f.modelSize)
		}
		return randomModel(int(f.modelSize)), nil
	}
	switch info, err := os.Stat(f.model); {
	case err != nil:
		return nil, usageError("", "read model: %w", err)
	case !info.Mode().IsRegular():
		return nil, usageError("--model is read whole before the start", "read model: %s is not a regular file", f.model)
	case info.Size() > wire.MaxModel:
		return nil, usageError(hint, "read model: %s is larger than 4 GiB", f.model)
	}
	b, err := os.ReadFile(f.model)
	if err != nil {
		return nil, usageError("", "read model: %w", err)
	}
	return b, nil
}

// randomModel is incompressible and the same every time.
func randomModel(size int) []byte {
	b := make([]byte, size)
	// Read of a ChaCha8 never fails.
	_, _ = rand.NewChaCha8([32]byte([]byte("fltool's global model of no use!"))).Read(b)
	return b
}

func newServerError(f *serveFlags, err error) error {
	switch {
	case errors.Is(err, server.ErrStateMode):
		return usageError("choose another --state, or start it with the flag it was made with", "%w", err)
	case errors.Is(err, server.ErrStateBusy):
		return cantError("one state serves one process", "%w", err)
	case errors.Is(err, server.ErrStateDamaged):
		return cantError("nothing was changed; bring the directory back from a copy, or begin anew with another --state", "%w", err)
	case errors.Is(err, server.ErrStateLost):
		return cantError("nothing was changed; bring state.db back, or begin anew with another --state", "%w", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return cantError("a start needs room to write the state once more", "%w", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return cantError("the user that runs fltool must own --state and be able to write there", "%w", err)
	case f.state != "":
		return cantError("--state must be a directory that fltool made or may make", "%w", err)
	}
	return cantError("", "%w", err)
}
