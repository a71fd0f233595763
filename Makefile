# Commands of Muster. Every command installs what is missing: Node 24 if the machine's version is older
# (tools/ensure-node.sh), and the packages of the lock file. `make help` lists the commands.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Node 24 comes first on PATH before npm or anything else runs: native modules crash under another one, and
# npm resolves other versions.
WITH_NODE := bin="$$(tools/ensure-node.sh)" && export PATH="$$bin:$$PWD/node_modules/.bin:$$PATH" &&
NODE := $(WITH_NODE) exec node --disable-warning=ExperimentalWarning
VITEST := $(WITH_NODE) exec vitest run

.PHONY: help
help: ## This list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## */\1\t/' \
		| awk -F'\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

.PHONY: setup
setup: node_modules/.package-lock.json ## Node 24 and the packages of the lock file; nothing if they are there

# npm writes this file at the end of the installation.
node_modules/.package-lock.json: package-lock.json
	@$(WITH_NODE) npm ci && touch $@

##@ Run

.PHONY: run
run: setup ## Muster in this terminal: one process, data in ./data, http://127.0.0.1:3000
	@$(NODE) apps/muster/src/main.ts serve

.PHONY: up
up: setup ## The production topology from this machine's binaries, in .muster-up/
	@$(NODE) tools/up.ts up

.PHONY: down
down: setup ## Stop what `make up` started; the data stays
	@$(NODE) tools/up.ts down

.PHONY: status
status: setup ## List the parts of `make up` that run, and their addresses
	@$(NODE) tools/up.ts status

.PHONY: migrate
migrate: setup ## Bring the databases up to date (embedded: ./data; production: by MUSTER_* variables)
	@$(NODE) apps/muster/src/main.ts migrate

##@ Test

.PHONY: test
test: setup ## Everything that CI runs
	@$(WITH_NODE) failed=; \
		node --disable-warning=ExperimentalWarning tools/lint/lint.ts || failed=lint; \
		vitest run || failed="$$failed tests"; \
		[ -z "$$failed" ] || { echo "make test: failed: $$failed" >&2; exit 1; }

.PHONY: check
check: test ## The same

# These tests share their workers' modules, because loading modules afresh takes a third of the time.
.PHONY: test-unit
test-unit: setup ## Tests that need no server, in seconds
	@$(VITEST) --no-isolate --exclude '**/*.{contract,service,e2e,fault,interop}.test.ts'

.PHONY: test-contract
test-contract: setup ## One suite against both adapters of every port
	@$(VITEST) .contract.test

.PHONY: test-service
test-service: setup ## Modules on both engines, each on its own and all together
	@$(VITEST) .service.test

.PHONY: test-e2e
test-e2e: setup ## Whole installations in both modes, from outside, killed and restarted
	@$(VITEST) .e2e.test .fault.test

.PHONY: test-interop
test-interop: setup ## Stock clients of other projects
	@$(VITEST) packages/rpc/tests tests/e2e/watch .interop.test

# PARTS="engine predicate" selects files by a part of their path.
.PHONY: test-long
test-long: setup ## Every property test a hundred times as long, in hours; PARTS selects files
	@$(NODE) tools/test-long.ts $(PARTS)

.PHONY: bench
bench: setup ## Throughput and latency beside a database baseline of the same run; results in bench-results/
	@$(NODE) tests/bench/run.ts

.PHONY: bench-segments
bench-segments: setup ## Segments beside GROUP BY over the raw events; MUSTER_BENCH_SIZE=full takes 5 million
	@$(NODE) tests/bench/segments/run.ts

.PHONY: bench-behavior
bench-behavior: setup ## Read models, summaries, points and alerts beside the raw events; MUSTER_BENCH_SIZE as above
	@$(NODE) tests/bench/behavior/run.ts

.PHONY: bench-fairness
bench-fairness: setup ## Probes and posts of a tenant while another sends the most costly requests; 3 minutes
	@$(NODE) tests/bench/fairness/run.ts

.PHONY: bench-accounts
bench-accounts: setup ## Logins beside bare argon2, requests with an access token beside an API key; 6 minutes
	@$(NODE) tests/bench/accounts/run.ts

.PHONY: bench-users
bench-users: setup ## Lists of 100,000 members among a million, login analytics; 5 minutes, MUSTER_BENCH_SIZE=small takes one
	@$(NODE) tests/bench/users/run.ts

.PHONY: golden-update
golden-update: setup ## Rewrite the golden files; read the diff before you commit it
	@$(WITH_NODE) MUSTER_GOLDEN_UPDATE=1 exec vitest run $$(git grep -lE '\b(golden|checkGenerated)\(' -- '*.test.ts' ':!packages/testkit')

##@ Code

.PHONY: lint
lint: setup ## Format, types, import rules, banned calls, dead exports, lengths, protos, documents
	@$(NODE) tools/lint/lint.ts

.PHONY: format
format: setup ## Format everything
	@$(WITH_NODE) biome check --write . && buf format -w proto

.PHONY: typecheck
typecheck: setup ## Types alone
	@$(NODE) tools/lint/lint.ts types

.PHONY: docs-check
docs-check: setup ## Links and paths in the documents
	@$(NODE) tools/lint/lint.ts documents

.PHONY: gen
gen: setup ## Everything that is generated: code from the protos, docs/errors.md, .env.example
	@$(WITH_NODE) buf format -w proto && buf generate \
		&& node packages/errors/src/generate-docs.ts \
		&& node packages/config/src/generate-env-example.ts

.PHONY: gen-check
gen-check: setup ## Whether the committed generated code is current
	@$(NODE) tools/lint/lint.ts 'generated code'

.PHONY: proto-baseline
proto-baseline: setup ## Move the image that `buf breaking` compares with: DECISION=docs/decisions/<page>.md gives the reason
	@$(NODE) tools/lint/proto-baseline.ts $(DECISION)

.PHONY: clean
clean: ## Remove what the other commands bring back; data stays
	@rm -rf node_modules .toolchain coverage bench-results
