# Kartotek. `make` alone lists what there is to make.

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo development)
LDFLAGS := -s -w -X kartotek/cmd.Version=$(VERSION)
FUZZTIME ?= 1m

# The linter is built from its module at this version, into bin/.
LINT := bin/golangci-lint-v2.15.0
VULN := bin/govulncheck-v1.8.0

# Rooms whose goroutines share memory are tested under the race detector,
# which needs a C compiler.
CC_THERE := $(shell command -v $$(go env CC) >/dev/null && echo yes)
RACE := $(if $(CC_THERE),CGO_ENABLED=1 go test -race,go test)
RACED := /(tui|flows|mta|web|store)(/|$$)

# How long one package may take before it counts as hanging: the slowest takes
# 4 minutes on two idle processors, and 10 on half of one.
HANGS := -timeout 60m

.DEFAULT_GOAL := help
.PHONY: run test check bench golden soak help build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build bin/kartotek and open the console
	@bin/kartotek

build: ## build bin/kartotek, a static binary
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kartotek .

test: ## install what the tests need, vet, run all tests, build without cgo
	@scripts/setup
	@$(if $(CC_THERE),,echo "make test: no C compiler: the tests run without the race detector")
	go vet ./...
	$(RACE) $(HANGS) $$(go list ./... | grep -E '$(RACED)')
	go test $(HANGS) $$(go list ./... | grep -vE '$(RACED)')
	CGO_ENABLED=0 go build -o /dev/null ./...

check: $(LINT) $(VULN) ## lint, and look for known weaknesses of the modules
	$(LINT) run ./...
	@scripts/vulns $(VULN)

$(LINT):
	@scripts/tool $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(VULN):
	@scripts/tool $@ golang.org/x/vuln/cmd/govulncheck

bench: ## measure against the bare driver; ratios in one run
	go run ./bench

golden: ## write the golden screens and letters anew: read the diff
	go test ./tui ./flows/letters -update

soak: ## heavier suites: every fuzz target for FUZZTIME, the long tests
	FUZZTIME=$(FUZZTIME) scripts/fuzz
	KARTOTEK_SOAK=1 go test -tags soak -timeout 60m ./...
