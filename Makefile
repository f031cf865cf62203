# The commands of this project. `make` alone lists them.
#
# The machine brings npm (with any Node.js from 20) and make; `make install` brings the rest, the Node.js that runs the
# code included, into node_modules. Every other target installs first, and once that is done needs no network for it.

NODE := node_modules/.bin/node
NPM := npm
# What `make run` passes to the tracker: make run ARGS='--config my-tracker.toml'
ARGS ?= --config storage/tracker/etc/tracker.toml --generate
# What `make run-operator` passes on: make run-operator OPERATOR_ARGS='--namespaces trackers'
OPERATOR_ARGS ?=
# Which test files `make test` runs: make test FILTER='swarm protocol' (parts of paths; all when empty)
FILTER ?=
# What `make test` passes to test/run.ts beside it
RUN_ARGS ?=

# What `make bench` and its kin pass on: make bench BENCH_ARGS='--profiles 1 --rounds 3'
BENCH_ARGS ?=

# What `make observe` passes on: --no-grafana
OBSERVE_ARGS ?=

# What `make images` builds on: an image with Node.js 24, or `local` for one of what this machine has. Empty: the official one.
BASE ?=
# The tag of the images; empty: the version of package.json.
TAG ?=

# How many datagrams and requests `make fuzz` sends; FUZZ_SEED=... repeats a run.
COUNT ?= 10000000

# How long `make soak` takes
SOAK_MINUTES ?= 10

# Scripts that write checked-in files, and the folders that they write to.
GENERATORS := tracker/config/reference.ts tracker/telemetry/reference.ts operator/crd/generate.ts operator/chart-files.ts charts/monitoring/generate.ts
GENERATED := docs crds charts

# The lock file that node_modules was installed from. Comparing content, not times, keeps a checkout from reinstalling.
INSTALLED := node_modules/.installed-package-lock.json

.DEFAULT_GOAL := help
.PHONY: help install run run-operator test test-apiserver check types lint format format-check knip generate generate-check clean bench bench-http bench-https bench-memory bench-pauses bench-api bench-snapshot bench-start bench-flood bench-operator bench-traces bench-guards faults soak fuzz observe images base-image

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: ## Install what package-lock.json names, Node.js included (the other commands do it by themselves)
	@if cmp -s package-lock.json $(INSTALLED) && [ -x $(NODE) ]; then exit 0; fi; \
	command -v $(NPM) >/dev/null || { echo 'npm is missing: install Node.js 20 or newer, which brings it' >&2; exit 1; }; \
	echo 'installing the packages of package-lock.json' && \
	$(NPM) ci --ignore-scripts --include=dev --no-progress --loglevel=error && \
	$(NPM) rebuild --ignore-scripts=false --loglevel=error node >/dev/null && \
	$(NODE) --version >/dev/null && \
	cp package-lock.json $(INSTALLED)

run: install ## Start a tracker with storage/tracker/etc/tracker.toml (other arguments: ARGS='...')
	@exec $(NODE) tracker/cli/main.ts run $(ARGS)

run-operator: install ## Run the operator against the current context, with its definitions applied (OPERATOR_ARGS='...')
	@exec $(NODE) operator/cli/main.ts run --apply-definitions $(OPERATOR_ARGS)

test: install ## Run the tests; as root on Debian it installs missing test programs first (NO_FETCH=1 turns that off)
	@$(NODE) test/support/fetch-parts.ts
	@exec $(NODE) test/run.ts $(RUN_ARGS) $(FILTER)

test-apiserver: install ## Run the tests that need a real Kubernetes API server or Helm; fetches or builds those first, once
	@$(NODE) test/apiserver/fetch-binaries.ts
	@exec $(NODE) test/run.ts --needing apiserver --needing helm $(FILTER)

.PHONY: cluster cluster-down e2e
cluster: install ## Bring up a Kubernetes of two nodes here, with our images, operator and a tracker (as root)
	@$(NODE) test/support/fetch-parts.ts nodes
	@$(NODE) test/apiserver/fetch-binaries.ts --cluster
	@exec $(NODE) test/cluster/main.ts up

cluster-down: install ## Take that cluster away, with all that it left on the machine
	@exec $(NODE) test/cluster/main.ts down

e2e: install ## Run the end-to-end tests on the cluster of KUBECONFIG, or on one of their own (FILTER=...)
	@$(NODE) test/support/fetch-parts.ts
	@[ -n "$$KUBECONFIG" ] || { $(NODE) test/support/fetch-parts.ts nodes && $(NODE) test/apiserver/fetch-binaries.ts --cluster; }
	@exec $(NODE) test/e2e/main.ts $(FILTER)

check: types lint format-check knip generate-check ## Run every check but the tests

types: install ## Check the types
	@$(NODE) node_modules/.bin/tsc --noEmit -p .

lint: install ## Lint, with the rules that need types
	@$(NODE) node_modules/.bin/oxlint --type-aware --deny-warnings

format: install ## Format every file
	@$(NODE) node_modules/.bin/prettier --write --log-level warn .

format-check: install ## Check the format of every file
	@$(NODE) node_modules/.bin/prettier --check --log-level warn .

knip: install ## Look for unused files, exports and packages
	@$(NODE) node_modules/.bin/knip

generate: install ## Write the generated files, such as the configuration reference
	@for generator in $(GENERATORS); do $(NODE) $$generator --write || exit 1; done

generate-check: install ## Check that the generated files are current (and write them when they are not)
	@sums() { find $(GENERATED) -type f -exec cksum {} + | sort; }; before=$$(sums); \
	$(MAKE) --no-print-directory generate && [ "$$before" = "$$(sums)" ] || \
	{ echo 'generated files were not current; they are now: read and commit them' >&2; exit 1; }

bench: install ## Compare UDP trackers (BENCH_ARGS='--profiles 1 --rounds 3')
	@exec $(NODE) test/bench/main.ts udp $(BENCH_ARGS)

bench-http: install ## Compare HTTP trackers
bench-https: install ## Compare the tracker over HTTPS with a responder that does nothing else
bench-memory: install ## Measure bytes per peer, and the pauses of whole-store jobs
bench-pauses: install ## Measure what clients notice of scrapes, listings, expiry and snapshots of 10 million peers
bench-api: install ## Measure the REST API over a large store
bench-snapshot: install ## Measure writing and restoring a snapshot of 10 million peers
bench-start: install ## Measure the time from a start to the first answer
bench-flood: install ## Measure what floods cost other clients, and the tracker's memory
bench-guards: install ## Measure what all of abuse control costs a UDP announce
bench-traces: install ## Measure what the hook of traces costs a UDP announce
bench-operator: install ## Measure the operator with 1,000 trackers, against a real API server
bench-http bench-https bench-memory bench-pauses bench-api bench-snapshot bench-start bench-flood bench-operator bench-traces bench-guards:
	@exec $(NODE) test/bench/main.ts $(@:bench-%=%) $(BENCH_ARGS)

faults: install ## Let things go wrong around a tracker under load, and tell what was lost (part of make test too)
	@$(NODE) test/support/fetch-parts.ts mariadb faketime tmpfs descriptors
	@exec $(NODE) test/run.ts test/faults/

soak: install ## Keep a tracker under full load for ten minutes, and compare its end with its middle (SOAK_MINUTES=...)
	@exec $(NODE) test/soak/main.ts --minutes $(SOAK_MINUTES)

fuzz: install ## Send ten million random and changed datagrams and requests (COUNT=..., FUZZ_SEED=...)
	@exec $(NODE) --expose-gc test/fuzz/long-run.ts $(COUNT)

observe: install ## Start a tracker under a gentle load, Prometheus beside it and, where a container engine runs, Grafana
	@$(NODE) test/support/fetch-parts.ts prometheus
	@exec $(NODE) test/observe/main.ts $(OBSERVE_ARGS)

images: install ## Build the images of the tracker and the operator (BASE=local: on what this machine has; TAG=...)
	@exec $(NODE) .ci/image/build.ts $(if $(BASE),--base $(BASE)) $(if $(TAG),--tag $(TAG))

base-image: install ## Build a base for the images from what this machine has, for places without a registry
	@exec $(NODE) .ci/image/local-base.ts

clean: ## Remove what was installed; storage/ stays
	rm -rf node_modules
