package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// client is a load generator: how it holds n requests at once, and how it makes as
// many as it can over 50 connections for a while.
type client struct {
	name    string
	tool    string // program; "": this one
	hold    func(b *bench, url string, n int) ([]string, error)
	request func(b *bench, url string, d time.Duration) ([]string, error)
}

var clients = []client{
	{
		name: "vegeta", tool: "vegeta",
		hold: func(b *bench, url string, n int) ([]string, error) {
			targets, err := b.file("target", "GET "+url+"\n")
			count := strconv.Itoa(n)
			return []string{"attack", "-targets", targets, "-rate", "1000", "-duration", "1h", "-timeout", "0", "-workers", count, "-max-workers", count, "-connections", count, "-output", os.DevNull}, err
		},
		request: func(b *bench, url string, d time.Duration) ([]string, error) {
			targets, err := b.file("target", "GET "+url+"\n")
			return []string{"attack", "-targets", targets, "-rate", "0", "-duration", d.String(), "-workers", "50", "-max-workers", "50", "-output", os.DevNull}, err
		},
	},
	{
		name: "hey", tool: "hey",
		hold: func(_ *bench, url string, n int) ([]string, error) {
			return []string{"-n", strconv.Itoa(n), "-c", strconv.Itoa(n), "-t", "0", url}, nil
		},
		request: func(_ *bench, url string, d time.Duration) ([]string, error) {
			return []string{"-z", d.String(), "-c", "50", url}, nil
		},
	},
	{
		name: "k6", tool: "k6",
		hold: func(b *bench, url string, n int) ([]string, error) {
			script, err := b.file("hold.js", k6Script(url, "{timeout: '1h'}"))
			return []string{"run", "--quiet", "--no-usage-report", "--address", "", "--vus", strconv.Itoa(n), "--iterations", strconv.Itoa(n), script}, err
		},
		request: func(b *bench, url string, d time.Duration) ([]string, error) {
			script, err := b.file("request.js", k6Script(url, "{}"))
			return []string{"run", "--quiet", "--no-usage-report", "--address", "", "--vus", "50", "--duration", d.String(), script}, err
		},
	},
	{
		name: "net/http",
		hold: func(_ *bench, url string, n int) ([]string, error) {
			return []string{naiveArg, "client", url, strconv.Itoa(n)}, nil
		},
	},
	{
		name: "wrk", tool: "wrk",
		request: func(_ *bench, url string, d time.Duration) ([]string, error) {
			return []string{"-t1", "-c50", "-d" + d.String(), url}, nil
		},
	},
}

func k6Script(url, params string) string {
	return fmt.Sprintf("import http from 'k6/http'\nexport default function () { http.get(%q, %s) }\n", url, params)
}

func (b *bench) file(name, text string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func (c client) command(ctx context.Context, b *bench, args []string) (*exec.Cmd, error) {
	if c.tool == "" {
		return unlimited(ctx, b.self, args...), nil
	}
	tool, err := b.tool(c.tool)
	if err != nil {
		return nil, err
	}
	return unlimited(ctx, tool, args...), nil
}

// memoryOfClients are the peers that hold polls: KB for each, by two sizes.
func memoryOfClients() []peer {
	var all []peer
	for _, c := range clients {
		if c.hold == nil {
			continue
		}
		all = append(all, peer{c.name, func(ctx context.Context, b *bench) (float64, error) {
			const few = peerPolls / 4
			less, err := c.holds(ctx, b, few)
			if err != nil {
				return 0, err
			}
			more, err := c.holds(ctx, b, peerPolls)
			return (more - less) / (peerPolls - few) / 1e3, err
		}})
	}
	return all
}

// start starts the client with its arguments, unless making them failed.
func (c client) start(ctx context.Context, b *bench, args []string, err error) (*process, error) {
	if err != nil {
		return nil, err
	}
	cmd, err := c.command(ctx, b, args)
	if err != nil {
		return nil, err
	}
	return start(cmd)
}

// holds is the client's memory while it holds n requests, in bytes.
func (c client) holds(ctx context.Context, b *bench, n int) (float64, error) {
	s, err := newSink(true)
	if err != nil {
		return 0, err
	}
	defer s.close()
	args, err := c.hold(b, s.url(), n)
	p, err := c.start(ctx, b, args, err)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	err = p.until(ctx, fmt.Sprintf("%d requests", n), time.Minute, func() bool { return s.requests() >= n })
	if err != nil {
		return 0, err
	}
	time.Sleep(2 * time.Second) // for what it does after the last one
	return rss(p.Process.Pid)
}

// requestsOfClients are the peers that make requests: µs of processor for each.
func requestsOfClients() []peer {
	var all []peer
	for _, c := range clients {
		if c.request == nil {
			continue
		}
		all = append(all, peer{c.name, func(ctx context.Context, b *bench) (float64, error) {
			s, err := newSink(false)
			if err != nil {
				return 0, err
			}
			defer s.close()
			args, err := c.request(b, s.url(), 4*time.Second)
			p, err := c.start(ctx, b, args, err)
			if err != nil {
				return 0, err
			}
			defer p.stop()
			if err := p.until(ctx, c.name, time.Minute, p.ended); err != nil {
				return 0, err
			}
			n := s.requests()
			if n < 1000 {
				return 0, fmt.Errorf("%d requests: %s", n, last(p.output()))
			}
			return p.cpu().Seconds() * 1e6 / float64(n), nil
		}})
	}
	return all
}
