package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The rows of gRPC servers in Python.

var grpcRows = []row{
	{
		id: "grpc-pool", check: "app/worker-class", formula: "holds", limit: "threads of a gRPC server's pool", set: strconv.Itoa(poolThreads), unit: "streams",
		run: (*room).grpcPool,
	},
}

const poolThreads = 20

// grpcPool lets streams come that each wait for all the others: as many as the pool
// has threads all end, and with one more none does. Measured is the most that ended.
func (r *room) grpcPool() (Measurement, error) {
	if err := wantModule("grpc"); err != nil {
		return Measurement{}, err
	}
	config := filepath.Join(r.dir, "server.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "grpc_configs:\n  max_workers: %d\n", poolThreads), 0o600); err != nil {
		return Measurement{}, err
	}
	if _, err := r.python(nil, 0, "/usr/bin/python3", filepath.Join(r.dir, "appfl_server.py"), "--config", config); err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(both, 1); err != nil {
		return Measurement{}, err
	}
	ended, err := r.streams(poolThreads, 30*time.Second)
	if err != nil {
		return Measurement{}, err
	}
	more, err := r.streams(poolThreads+1, 5*time.Second)
	switch {
	case err != nil:
		return Measurement{}, err
	case more > 0:
		return Measurement{}, fmt.Errorf("%d of %d streams ended with a pool of %d", more, poolThreads+1, poolThreads)
	}
	return Measurement{float64(ended), fmt.Sprintf("none of %d ended", poolThreads+1)}, nil
}

// streams counts those of so many clients that ended within their patience.
func (r *room) streams(clients int, patience time.Duration) (int, error) {
	cmd := exec.CommandContext(r.ctx, "/usr/bin/python3", filepath.Join(r.dir, "appfl_clients.py"), strconv.Itoa(clients), fmt.Sprint(patience.Seconds()))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("clients of gRPC: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}
