package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/server"
	"github.com/fltool/fltool/server/wire"
)

// The environment's name and password of the admin, as upstream's.
const (
	envAdminUsername = "DCF_SERVER_ADMIN_USERNAME"
	envAdminPassword = "DCF_SERVER_ADMIN_PASSWORD" // #nosec G101 -- the name, not the password
)

// serveFlags is what the user asked serve for.
type serveFlags struct {
	listen, opsListen string
	listenAsked       bool
	keys              string
	odd               []string // about the key list
	unsafe            bool
	tlsCert, tlsKey   string
	model             string
	firstVersion      int64
	firstAsked        bool
	updatePolicy      string
	modelSize         sizeFlag
	round             string
	roundTimeout      time.Duration
	maxHold           time.Duration
	maxUpdateSize     sizeFlag
	maxInflation      int64
	maxUploads        int
	maxStrangers      int
	strangerIdle      time.Duration
	state             string
	keepUpdates       bool
	keepFree          sizeFlag
	drainTimeout      time.Duration
	logLevel          slog.LevelVar
	logFormat         string
}

func newServe() *cobra.Command {
	f := serveFlags{modelSize: 1 << 10, maxUpdateSize: server.DefaultMaxUpdate}
	level := "info"
	cmd := &cobra.Command{
		Use:   "serve (--keys FILE|DIR | --unsafe --round N|P%) [flags]",
		Short: "Run the reference federated-learning server",
		Long: `Run the reference long-poll server: dc_federated's workers use it unchanged.

Prints "listening on URL" once it does; logs go to stderr. SIGTERM and SIGINT
drain it: whoever was notified of a model gets it, held polls are answered, uploads
finished; a second signal ends it. SIGHUP reads the files of --tls-cert and
--tls-key again, and ends nothing.

A socket that systemd passes (a .socket unit) is taken in place of --listen:
connects wait while the server is restarted.

The admin's routes need DCF_SERVER_ADMIN_USERNAME and DCF_SERVER_ADMIN_PASSWORD
in the environment; without them nobody is admin.`,
		Example: `  fltool keys generate --workers 1000 keys
  fltool serve --keys keys --state state --round all --round-timeout 10m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags := cmd.Flags()
			if f.model != "" && flags.Changed("model-size") {
				return usageError("choose one of them", "--model and --model-size exclude each other")
			}
			if empty := emptyFlag(flags); empty != "" {
				return usageError("leave it out for its default", "--%s is empty", empty)
			}
			if err := f.logLevel.UnmarshalText([]byte(level)); err != nil {
				return usageError("levels are debug, info, warn and error", "--log-level %s: not a level", level)
			}
			f.listenAsked, f.firstAsked = flags.Changed("listen"), flags.Changed("first-version")
			return serve(cmd.Context(), &f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", "127.0.0.1:5000", "`address` for workers; port 0 takes a free one")
	flags.StringVar(&f.keys, "keys", "", "key list, or a key folder: a `path`")
	flags.BoolVar(&f.unsafe, "unsafe", false, "let anybody take part, and check nothing")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "certificate chain for https, a PEM `file`")
	flags.StringVar(&f.tlsKey, "tls-key", "", "its private key, a PEM `file`")
	flags.StringVar(&f.model, "model", "", "first global model: a `file`, sent as it is")
	flags.Var(&f.modelSize, "model-size", "without --model: a random one of this `size`")
	flags.Int64Var(&f.firstVersion, "first-version", 1, "`version` of the first model: 0 for FedAvg's workers, which train before they first poll")
	flags.StringVar(&f.updatePolicy, "update-policy", string(server.FirstUpdate), "which update of a worker counts in a round: the `first`, or last, as with FedAvg's server")
	flags.StringVar(&f.round, "round", "", "ends a round: all (the default with --keys), N updates, or P% of the registered workers")
	flags.DurationVar(&f.roundTimeout, "round-timeout", 0, "ends a round this long after its first update (0: never)")
	flags.DurationVar(&f.maxHold, "max-hold", 0, "answers a poll after this long, and it comes again (0: never)")
	flags.Var(&f.maxUpdateSize, "max-update-size", "refuse larger updates: `size` before compression")
	flags.Int64Var(&f.maxInflation, "max-inflation", server.DefaultMaxInflation, "refuse updates above 1MB that inflate to more than so many `times` their size")
	flags.IntVar(&f.maxUploads, "max-uploads", server.DefaultMaxUploads, "so `many` updates may be on their way at a time; others wait")
	flags.IntVar(&f.maxStrangers, "max-strangers", server.DefaultMaxStrangers, "so `many` connections of one address may be open that are not known to be a worker's")
	flags.DurationVar(&f.strangerIdle, "stranger-idle", server.DefaultStrangerIdle, "closes such a connection when it has been idle this long")
	flags.StringVar(&f.state, "state", "", "`directory` that survives restarts (else memory)")
	flags.BoolVar(&f.keepUpdates, "keep-updates", false, "keep accepted updates as files below --state")
	flags.Var(&f.keepFree, "keep-free", "with --keep-updates: leave this `size` of the disk free (default 1GB, or a tenth of the disk if that is less)")
	flags.Lookup("keep-free").DefValue = "0" // so that it is not told twice
	flags.StringVar(&f.opsListen, "ops-listen", "", "`address` for /healthz, /metrics and pprof")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", 30*time.Second, "cut what has not ended this long after a signal")
	flags.StringVar(&level, "log-level", level, "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	return cmd
}

func serve(ctx context.Context, f *serveFlags, stdout, stderr io.Writer) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	log, err := f.logger(stderr)
	if err != nil {
		return err
	}
	cfg, err := f.config(log)
	if err != nil {
		return err
	}
	certs, err := f.certificate()
	if err != nil {
		return err
	}
	// Ports first: whether they are free is told before any state is touched.
	listener, err := workersListener(f.listen, f.listenAsked)
	if err != nil {
		return err
	}
	defer listener.Close()
	var ops net.Listener
	if f.opsListen != "" {
		if ops, err = listen("--ops-listen", f.opsListen); err != nil {
			return err
		}
		defer ops.Close()
	}
	tidies(ctx)
	for _, w := range f.warnings(listener.Addr(), ops) {
		log.Warn(w.text, w.about...)
	}
	s, err := server.New(cfg)
	if err != nil {
		return newServerError(f, err)
	}
	scheme, serve := "http", s.Serve
	if certs != nil {
		scheme = "https"
		serve = func(l net.Listener) error { return s.ServeTLS(l, certs.config()) }
	}
	ended := make(chan error, 2)
	go func() { ended <- serve(listener) }()
	if ops != nil {
		h := server.NewHTTP(s.Ops(), log)
		defer h.Close()
		go func() { ended <- h.Serve(ops) }()
	}
	// One write: whoever waits for the first line has the second, too.
	lines := fmt.Sprintf("listening on %s://%s\n", scheme, listener.Addr())
	if ops != nil {
		lines += fmt.Sprintf("ops on http://%s\n", ops.Addr())
	}
	if _, err := io.WriteString(stdout, lines); err != nil {
		ended <- fmt.Errorf("say where it listens: %w", err)
	}
	log.Info("serving", "workers", len(cfg.Keys), "unsafe", f.unsafe, "round", cfg.Round.String(), "model_bytes", len(cfg.Model), "state", f.state)
	if n, err := strconv.Atoi(cfg.Round.String()); err == nil && !f.unsafe && n > len(cfg.Keys) {
		log.Warn("a round waits for more updates than the key list has workers", "round", n, "workers", len(cfg.Keys))
	}

	var failed error
	for running := true; running; {
		select {
		case <-hangups:
			certs.reload(log)
			continue
		case <-ctx.Done():
			failed = drain(s, f.drainTimeout, log)
		case err := <-ended:
			failed = cantError("", "serve: %w", err)
		}
		running = false
	}
	if err := s.Close(); err != nil && failed == nil {
		failed = cantError("is the disk full?", "end the server: %w", err)
	}
	return failed
}

// drain ends a server without cutting anybody who is quick enough.
func drain(s *server.Server, timeout time.Duration, log *slog.Logger) error {
	log.Info("draining; a second signal ends at once", "held", s.Held(), "timeout", timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		return &exitError{
			code: exitFail,
			err:  fmt.Errorf("requests were cut: they had not ended after %v", timeout),
			hint: "a longer --drain-timeout lets slow uploads finish",
		}
	}
	log.Info("drained")
	return nil
}

func (f *serveFlags) logger(w io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: &f.logLevel}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageError("formats are text and json", "--log-format %s: not a format", f.logFormat)
}

// config reads what the flags name.
func (f *serveFlags) config(log *slog.Logger) (server.Config, error) {
	cfg := server.Config{
		Unsafe:        f.unsafe,
		RoundTimeout:  f.roundTimeout,
		MaxHold:       f.maxHold,
		MaxUpdate:     int64(f.maxUpdateSize),
		MaxInflation:  f.maxInflation,
		MaxUploads:    f.maxUploads,
		MaxStrangers:  f.maxStrangers,
		StrangerIdle:  f.strangerIdle,
		State:         f.state,
		KeepUpdates:   f.keepUpdates,
		KeepFree:      int64(f.keepFree),
		AdminUsername: os.Getenv(envAdminUsername),
		AdminPassword: os.Getenv(envAdminPassword),
		Log:           log,
	}
	switch {
	case f.unsafe && f.keys != "":
		return cfg, usageError("choose one of them", "--unsafe and --keys exclude each other")
	case !f.unsafe && f.keys == "":
		return cfg, usageError("make keys with: fltool keys generate --workers 10 keys", "neither --keys nor --unsafe is given")
	case f.keepUpdates && f.state == "":
		return cfg, usageError("say where with --state DIR", "--keep-updates needs --state")
	case f.unbounded() != "":
		return cfg, usageError("without such a bound, anybody could stop the server", "%s: not above 0", f.unbounded())
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
		switch admin := cfg.AdminUsername != "" && cfg.AdminPassword != ""; {
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

// unbounded is a bound that is none, "" if all are.
func (f *serveFlags) unbounded() string {
	switch {
	case f.maxInflation < 1:
		return fmt.Sprintf("--max-inflation %d", f.maxInflation)
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
