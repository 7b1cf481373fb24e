package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/server"
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
	unsafePublic      bool
	adminListen       string
	tlsCert, tlsKey   string
	clientCA          string
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
	maxWorkers        int
	maxConnections    int
	maxMemory         sizeFlag
	addressRate       float64
	workerRate        float64
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
finished; a second signal ends it. SIGHUP reads the files of --tls-cert,
--tls-key and --client-ca again, and ends nothing.

A socket that systemd passes (a .socket unit) is taken in place of --listen:
connects wait while the server is restarted.

The admin's routes need DCF_SERVER_ADMIN_USERNAME and DCF_SERVER_ADMIN_PASSWORD
in the environment; without them nobody is admin. What an admin does is in the log.`,
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
	flags.BoolVar(&f.unsafePublic, "unsafe-public", false, "let anybody who reaches an address of more than this host take part")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "certificate chain for https, a PEM `file`")
	flags.StringVar(&f.tlsKey, "tls-key", "", "its private key, a PEM `file`")
	flags.StringVar(&f.clientCA, "client-ca", "", "let only clients in whose certificate one of these authorities signed, a PEM `file`")
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
	flags.IntVar(&f.maxWorkers, "max-workers", server.DefaultMaxWorkers, "so `many` workers may take part; without --keys, each registration makes one")
	flags.IntVar(&f.maxConnections, "max-connections", 0, "so `many` may be open at a time; more are refused, and held polls stay (0: as many as there are descriptors)")
	flags.Var(&f.maxMemory, "max-memory", "above this `size` of memory, new connections and updates are refused, and held polls stay (default: any)")
	flags.Lookup("max-memory").DefValue = "0" // so that it is not told twice
	flags.Float64Var(&f.addressRate, "address-rate", server.DefaultAddressRate, "so many `requests` a second of one address, those of workers' connections apart (0: any)")
	flags.Float64Var(&f.workerRate, "worker-rate", server.DefaultWorkerRate, "so many `requests` a second that one worker's key has signed (0: any)")
	flags.StringVar(&f.state, "state", "", "`directory` that survives restarts (else memory)")
	flags.BoolVar(&f.keepUpdates, "keep-updates", false, "keep accepted updates as files below --state")
	flags.Var(&f.keepFree, "keep-free", "with --keep-updates: leave this `size` of the disk free (default 1GB, or a tenth of the disk if that is less)")
	flags.Lookup("keep-free").DefValue = "0" // so that it is not told twice
	flags.StringVar(&f.adminListen, "admin-listen", "", "`address` of its own for the admin's routes")
	flags.StringVar(&f.opsListen, "ops-listen", "", "`address` for /healthz, /metrics and pprof")
	flags.DurationVar(&f.drainTimeout, "drain-timeout", drainTimeout, "cut what has not ended this long after a signal")
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
	l, err := f.listeners()
	if err != nil {
		return err
	}
	defer l.close()
	tidies(ctx)
	for _, w := range f.warnings(l) {
		log.Warn(w.text, w.about...)
	}
	modelBytes := len(cfg.Model)
	if f.maxMemory > 0 {
		debug.SetMemoryLimit(int64(f.maxMemory) / 10 * 9) // what is garbage is to be no reason to refuse
	}
	if runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2) // else nobody has the CPU while one waits for the disk
	}
	s, err := server.New(cfg)
	cfg.Model = nil // the server has its own form of it
	if err != nil {
		return newServerError(f, err)
	}
	ended := make(chan error, 3)
	begin := func(name string, on net.Listener, serve func(net.Listener) error) string {
		go func() { ended <- serve(on) }()
		return fmt.Sprintf("%s on %s://%s\n", name, certs.scheme(), on.Addr())
	}
	// One write: whoever waits for the first line has the others, too.
	lines := begin("listening", l.workers, func(on net.Listener) error {
		if certs != nil {
			return s.ServeTLS(on, certs.config())
		}
		return s.Serve(on)
	})
	if l.ops != nil {
		h := server.NewHTTP(s.Ops(), log)
		defer h.Close()
		go func() { ended <- h.Serve(l.ops) }()
		lines += fmt.Sprintf("ops on http://%s\n", l.ops.Addr())
	}
	if l.admin != nil {
		h := server.NewHTTP(s.Admin(), log)
		defer h.Close()
		lines += begin("admin", l.admin, func(on net.Listener) error {
			if certs != nil {
				on = tls.NewListener(on, certs.config())
			}
			return h.Serve(on)
		})
	}
	if _, err := io.WriteString(stdout, lines); err != nil {
		ended <- fmt.Errorf("say where it listens: %w", err)
	}
	log.Info("serving", "workers", len(cfg.Keys), "unsafe", f.unsafe, "round", cfg.Round.String(), "model_bytes", modelBytes, "state", f.state)
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
