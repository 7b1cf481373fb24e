# What `make` does here; `make help` lists the targets.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -X main.version=$(VERSION)

.PHONY: help build test lint bench fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## build bin/fltool
	go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/fltool

test: ## unit, script and race tests
	go test -race ./...

lint: ## vet, staticcheck, gofmt
	go vet ./...
	go tool staticcheck ./...
	@test -z "$$(gofmt -l . | tee /dev/stderr)"

clean: ## remove what was built
	rm -rf bin
