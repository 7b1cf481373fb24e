# `make help` lists the targets. On a fresh machine `make run` and `make test` do
# all their own set-up.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
MODULE := github.com/fltool/fltool
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -funcalign=4 -X main.version=$(VERSION)
# A small binary: HTTP/2 of net/http, which nothing here speaks, is left out, and only
# where requests are counted in microseconds are functions put into their callers.
# docs/adr/0008-size.md
SMALL := github.com charm.land go.yaml.in golang.org/x/perf golang.org/x/text google.golang.org
FAST := $(MODULE)/server $(MODULE)/loadgen github.com/tsenart github.com/vmihailenco github.com/klauspost \
	github.com/gorilla
export GOFLAGS := -buildvcs=false -tags=nethttpomithttp2 $(SMALL:%=-gcflags=%/...=-l) $(FAST:%=-gcflags=%/...=)
# The toolchain of go.mod, although Debian's Go asks for no other than itself.
export GOTOOLCHAIN ?= auto
# Else every process with the race detector sleeps for a second at its end.
export GORACE := atexit_sleep_ms=0

# What tests of the real things need, as Debian packages; the race detector needs a
# C compiler.
PACKAGES := gcc libc6-dev curl nginx-light libnginx-mod-stream chromium gunicorn python3-gevent python3-requests python3-nacl \
	python3-msgpack shellcheck iproute2 nftables conntrack python3-bottle python3-waitress \
	uwsgi-plugin-python3 python3-uvicorn python3-grpcio haproxy apache2-bin caddy tmux

# How much of a target is fuzzed is a number of runs: Go's clock for it ends some runs
# as failed that found nothing (golang.org/issue/75804, fixed in 1.27).
FUZZTIME ?= 10000x
# And in each test, of the server's whole surface; a run starts a server or several.
FUZZSERVER ?= 100x

# Known vulnerabilities are read from their database as a Go module, so that the
# same commit gets the same verdict: make lint VULNDB=latest asks today's.
VULNDB ?= v0.0.0-20261105234957-e22db6528018

.PHONY: nginx-versions nginx-odds help run build test test-only lint bench bench-peers prove prove-quick regress baseline planted hostile kills restarts fuzz fresh pages release try-deb try-rpm image pictures try-image setup clean planted-python same guide

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: build ## the main job: 1000 simulated workers, 3 rounds, a report
	bin/fltool simulate --workers 1000 --rounds 3

build: ## build bin/fltool, static: it runs in any container
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

# Packages that start no goroutine: the race detector would find nothing there, and
# make their tests eight times slower.
PURE := checks checks/remedy checks/symptoms loadgen/fleet nginx reports reports/trend reports/render reports/render/markup reports/render/plot
# Tests of whole commands run hundreds of them, most of which only read and judge. Those
# that play with fleets and servers are raced; all are by make race.
RACED := follow|procs|scenario|serve-state|simulate|stages
UNRACED := $(MODULE)/cmd/fltool $(PURE:%=$(MODULE)/%) # the longest first

test: setup ## all tests, concurrent ones with the race detector, and the linters
	go list -test -export ./... >/dev/null # compiles: else the linters and the tests would, each
	$(MAKE) --no-print-directory -j 3 --output-sync=line lint test-only

test-only: test-unraced test-raced test-scripts test-fuzz ## all tests without the linters

# Vet is for the linters.
.PHONY: test-unraced test-raced test-scripts test-fuzz
test-unraced:
	go test -vet=off -p 2 -parallel 6 -timeout 20m -skip '^TestScript$$/^($(RACED))$$' $(UNRACED) ./server/lot # whose calls are others with the race detector

test-raced:
	go test -vet=off -race -p 2 -parallel 8 -timeout 20m $(filter-out $(UNRACED),$(shell go list ./...))

test-scripts:
	go test -vet=off -race -parallel 8 -timeout 20m -run '^TestScript$$/^($(RACED))$$' ./cmd/fltool

test-fuzz:
	go test -vet=off -run '^$$' -fuzz '^FuzzPlain$$' -fuzztime $(FUZZTIME) -fuzzminimizetime $(FUZZMINIMIZE) ./server
	go test -vet=off -run '^$$' -fuzz '^FuzzReadUpdate$$' -fuzztime $(FUZZTIME) -fuzzminimizetime $(FUZZMINIMIZE) ./server/wire
	go test -vet=off -run '^$$' -fuzz '^FuzzServer$$' -fuzztime $(FUZZSERVER) -fuzzminimizetime $(FUZZMINIMIZE) ./server

.PHONY: race
race: setup ## all tests with the race detector: half an hour
	go test -race -p 2 -parallel 8 -timeout 60m ./...

# Of gosec's rules for what ships, all but: G104, since errors of closing and of
# deadlines show in the next read; G304, since it is a tool's purpose to read the
# files that it is given; G115, since numbers from outside are bounded where they
# are read, which it does not see. Other exceptions stand beside their code.
NOSEC := G104,G304,G115

lint: ## vet, staticcheck, gosec, govulncheck, gofmt, and types for macOS
	go vet -tags nethttpomithttp2,planted,man ./...
	go build -tags nethttpomithttp2,faulty ./server
	go tool staticcheck ./...
	GOFLAGS= go build -C .ci/lint -buildvcs=false -trimpath -o $(CURDIR)/bin/ ./...
	go vet -vettool=bin/gosec -gosec.exclude=$(NOSEC) $$(go list -deps ./cmd/fltool | grep ^$(MODULE))
	go mod download golang.org/x/vulndb@$(VULNDB)
	go tool govulncheck -db "file://$$(go list -m -f '{{.Dir}}' golang.org/x/vulndb@$(VULNDB))/data/osv" ./...
	bin/elsewhere darwin/arm64 ./cmd/fltool
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not gofmt'ed: $$files"; exit 1; fi

# The tools that bench measures beside, of these versions.
VEGETA ?= v12.13.0
HEY ?= v0.1.5
K6 ?= v1.8.1

bench-peers: setup ## install what bench measures beside: vegeta, hey and k6 into bin/peers, wrk and nginx
	GOBIN=$(CURDIR)/bin/peers go install github.com/tsenart/vegeta/v12@$(VEGETA)
	GOBIN=$(CURDIR)/bin/peers go install github.com/rakyll/hey@$(HEY)
	GOBIN=$(CURDIR)/bin/peers go install go.k6.io/k6@$(K6)
	command -v wrk >/dev/null || $(SUDO) apt-get install -y -qq --no-install-recommends wrk >/dev/null

# All rows make the page anew; bin/bench -list lists them.
ROWS ?=

bench: build ## every figure that is promised, beside its peers: 20 minutes, on an idle machine (ROWS=…: some)
	bin/bench $(if $(ROWS),$(ROWS),-page docs/benchmarks.md)

prove: setup build ## the experiments that prove preflight's ledger (MUTATE=1: with wrong formulas)
	MUTATE=$(MUTATE) bin/prove

prove-quick: setup build ## those of them that end soon, three at a time: a minute
	MUTATE=$(MUTATE) bin/prove -quick -at-once 3

# The figures of a stored baseline that hold on any machine.
REGRESS := --gate bytes,errors,server.fds --limit server.rss=30%

regress: build ## compare with the committed baseline, as CI does
	bin/fltool regress --baseline .github/baseline $(REGRESS)

baseline: build ## make the committed baseline anew
	bin/fltool regress --baseline .github/baseline --store --runs 6

nginx-odds: build ## how often several processes of nginx hold all workers, for the check and docs/proofs.md: minutes
	bin/prove -odds >bin/nginx_odds.csv
	mv bin/nginx_odds.csv checks/nginx_odds.csv
	go test ./checks -run '^TestOdds$$' -update

# Debian's suites whose nginx is newer than the one that is installed.
SUITES ?= trixie sid

EXPERIMENTS ?= 20
RUNS ?= 6

planted: ## find planted faults in EXPERIMENTS of RUNS runs each: an hour
	go test -tags planted -run '^TestPlanted$$' -v -timeout 5h ./cmd/fltool \
		-experiments $(EXPERIMENTS) -runs $(RUNS)

guide: ## the figures of docs/guide.md: 1000 and 5000 workers on a server of Python's, minutes
	go test -run '^TestManual$$/^guide.md$$' -v -timeout 30m ./cmd/fltool -whole

planted-python: ## find planted faults in a server of Python's in EXPERIMENTS: 40 minutes
	go test -tags planted -run '^TestPlantedPython$$' -v -timeout 5h ./cmd/fltool \
		-experiments $(EXPERIMENTS) -runs 8

same: ## compare fltool's server with itself in EXPERIMENTS: 40 minutes
	go test -tags planted -run '^TestSame$$' -v -timeout 5h ./cmd/fltool \
		-experiments $(EXPERIMENTS) -runs 8

KILLS ?= 200

kills: ## kill a server with state KILLS times while workers play rounds: a minute
	go test -run '^TestKills$$' -v -timeout 1h ./cmd/fltool -kills $(KILLS)

.PHONY: storm abandon churn flaky

STORM ?= 5000

storm: build ## cut the held polls of STORM workers at once: all must be held again within 10 s
	bin/fltool simulate --workers $(STORM) --scenario storm --max-lag 10s --slo 'recovered.max<10s' --slo 'away<=0'

abandon: build ## have 1000 workers abandon 20 polls each: the server's descriptors must not grow
	bin/fltool simulate --workers 1000 --scenario abandon:times=20 --max-lag 10s --slo 'server.fdsPerAbandoned<0.1' --slo 'abandoned.unheard<=0'

churn: build ## have workers of 1000 come, leave and vanish during rounds: those that stay must be served
	bin/fltool simulate --workers 1000 --scenario churn:join=20/s,leave=10/s,vanish=10/s --max-lag 10s --slo 'unserved<=0' --slo 'ghosts.doubled<=0' --slo 'server.fdsOfGhosts<=0'

flaky: build ## play 3 rounds of 500 workers through a relay that cuts: all must be served
	bin/fltool simulate --workers 500 --scenario flaky --max-lag 10s --slo 'unserved<=0'

FLEET ?= 200
FLEET_ROUNDS ?= 20

HOSTILE ?= 1000000
SLOWDOWN ?= 2

hostile: ## send a server HOSTILE requests that nobody should: rounds meanwhile may take twice as long. Minutes, on an idle machine
	go test -run '^TestHostile$$' -v -timeout 1h ./cmd/fltool -hostile $(HOSTILE) -hostile-slowdown $(SLOWDOWN)

restarts: ## end servers by TERM and kill -9 while FLEET workers like dc_federated's play FLEET_ROUNDS rounds
	go test -run '^TestRestarts' -v -timeout 1h ./cmd/fltool -fleet $(FLEET) -fleet-rounds $(FLEET_ROUNDS)

# An input that is new is made smaller by FUZZMINIMIZE runs at most: by default that
# takes a minute for each large one, and nothing else is tried meanwhile.
FUZZMINIMIZE ?= 10x

nginx-versions: ## the tests of package nginx against the nginx of Debian's newer suites
	.ci/nginx-versions bin/nginx-versions $(SUITES)

fuzz: ## every fuzz target, FUZZTIME runs of each
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime $(FUZZMINIMIZE) $$pkg || exit 1; \
		done; \
	done

# The date of what a release has is its commit's.
export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null)

pages: build ## a release's manual pages, completions and licences, in bin/pages
	rm -rf bin/pages
	mkdir -p bin/pages/completions
	go run -trimpath -ldflags '$(LDFLAGS)' -tags man ./cmd/fltool man bin/pages/man
	gzip -9n bin/pages/man/*
	for shell in bash fish zsh; do bin/fltool completion $$shell >bin/pages/completions/fltool.$$shell || exit 1; done
	.ci/release/notices >bin/pages/NOTICES

# On a tag RELEASE= makes the real one; else all but what is published, offline.
RELEASE ?= --snapshot

release: ## binaries, packages, checksums and SBOMs, in bin/release
	go build -C .ci/release -o $(CURDIR)/bin/ tool
	go mod download
	PATH="$(CURDIR)/bin:$$PATH" GOPROXY=$(if $(RELEASE),off,$$(go env GOPROXY)) \
		bin/goreleaser release --clean $(RELEASE) -f .ci/release/goreleaser.yaml

FRESH ?= /var/tmp/fltool-fresh

fresh: ## run and test on a new Debian in FRESH (as root; it is removed afterwards)
	command -v debootstrap >/dev/null || $(SUDO) apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	$(SUDO) .ci/fresh $(FRESH) 'make run' 'make test'
	$(SUDO) rm -rf $(FRESH)

try-deb: ## the deb of `make release` on a new Debian without Go (as root)
try-rpm: ## the rpm of `make release` on a new Debian with rpm (as root)
try-deb try-rpm: try-%:
	command -v debootstrap >/dev/null || $(SUDO) apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	trap '$(SUDO) rm -rf $(FRESH)' EXIT; \
		$(SUDO) env PACKAGES=ca-certificates,man-db,bash-completion,procps,systemd,rpm .ci/fresh $(FRESH) \
			"cat >/root/fltool.$*" '.ci/try-package /root/fltool.$*' <$$(ls bin/release/fltool_*_linux_amd64.$*)

# What is emitted for others, by their own definitions and tools.
.PHONY: deploy
deploy: ## manifests by Kubernetes' and KEDA's definitions, metrics and alerts by promtool
	command -v promtool >/dev/null || $(SUDO) env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null
	go test -C .ci/deploy -count 1 ./...

.PHONY: fleet
fleet: build ## the same rounds from one machine and from four shards, by Ansible over sshd and by Slurm: two minutes (as root)
	for p in ansible-core openssh-server slurmctld slurmd slurm-client munge; do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; \
	done | xargs -r $(SUDO) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends >/dev/null
	$(SUDO) .ci/fleet bin/fltool

image: build ## the container image fltool, by podman
	command -v podman >/dev/null && command -v runc >/dev/null || $(SUDO) apt-get install -y -qq --no-install-recommends podman runc >/dev/null
	mkdir -p bin/image
	cp bin/fltool bin/image/
	cp /etc/ssl/certs/ca-certificates.crt bin/image/
	podman build --runtime runc -f .ci/release/Containerfile -t fltool:$(VERSION) -t fltool:latest bin/image

pictures: build ## the docs' pictures, from real runs, and bin/pictures: all pages at all widths; on a quiet machine (as root)
	$(SUDO) .ci/pictures bin/fltool docs/pictures bin/pictures

try-image: image ## judge this host and play rounds from containers (as root)
	.ci/try-image fltool:latest

setup: ## install what the tests need and is missing (RUNLEVEL=1: start no service)
	@missing=; for p in $(PACKAGES); do \
		if [ $$p = chromium ] && command -v google-chrome >/dev/null; then continue; fi; \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing$$missing"; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

clean: ## remove what was built
	rm -rf bin
