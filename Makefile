# Everything that is needed is installed by these commands themselves; `make up` is the one to start with.
.DEFAULT_GOAL := help
STACK ?= local
SEED ?= 1
PACKAGE ?= components/plan
TESTS ?= tests/plan tests/advice
SAMPLE ?= 150
VENV := .venv
PYTHON := $(VENV)/bin/python

.PHONY: help up down status plan alerts picture calibrate servers test-servers test test-fast test-long checkov mutants check lint e2e faults clients examples soak bench bench-plan bench-resize bench-engines bench-cpu-limit format lock clean

help: ## every command of this Makefile
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: .venv/sandbox $(if $(MONITORING),.venv/monitoring) ## run the stack `local` for real on this machine (MONITORING=1: with exporters and Prometheus; IP_FAMILY=ipv6)
	@$(PYTHON) -m sandbox up $(if $(MONITORING),--set monitoring.exporter=true --set monitoring.pushgateway=prometheus-pushgateway.monitoring:9091) $(if $(HURRY),--hurry $(HURRY)) $(if $(IP_FAMILY),--ip-family $(IP_FAMILY))

down: .venv/program ## stop what `make up` started and leave nothing behind
	@$(PYTHON) -m sandbox down

status: .venv/program ## pods, roles, slots and memory of what runs
	@$(PYTHON) -m sandbox status

plan: .venv/program ## the derived plan and the resources of a stack (STACK=prod), offline
	@$(PYTHON) -m preview --stack $(STACK)

calibrate: .venv/tests ## measure what GET, SET and replication take of Redis's core, by size, without TLS and with it (two minutes); WRITE=FILE and WRITE_TLS=FILE give it to the planner
	@nice $(PYTHON) -m tests.plan.calibrate $(if $(WRITE),--write '$(WRITE)') $(if $(WRITE_TLS),--write-tls '$(WRITE_TLS)')

test: .venv/tests .venv/sandbox .venv/monitoring .venv/actionlint ## the tests: real servers and pods, and what computes for minutes beside them
	@$(PYTHON) -m tests.sets $(if $(AGAIN),--again)

test-fast: .venv/tests .venv/monitoring .venv/actionlint ## the tests that start nothing and take no minutes each: about two minutes together
	@$(PYTHON) -m tests.sets fast

test-long: .venv/tests .venv/sandbox .venv/monitoring .venv/browser .checkov/built ## a second look that `make test` leaves out: the plain deployment, random kills, more resizes, pairs of edits, checkov (20 minutes)
	@$(PYTHON) -m tests.sets slow

checkov: .venv/tests .checkov/built ## what the linter checkov finds in the manifests (under a minute; installs its hundred packages into .checkov the first time)
	@$(PYTHON) -m pytest -q tests/manifests/test_checkov.py

mutants: .venv/tests ## which one-line mutants the fast tests miss (PACKAGE=components/plan TESTS="tests/plan tests/advice" SAMPLE=150 SEED=1)
	@$(PYTHON) -m tests.mutants $(PACKAGE) --tests $(TESTS) --sample $(SAMPLE) --seed $(SEED)

check: lint .venv/monitoring .venv/actionlint ## format, lint, types, shell lint, tests: what CI runs
	$(MAKE) test

lint: .venv/tests .venv/sandbox ## format, lint, types and shell lint: what `make check` does before the tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy components loadgen preview reconciler sandbox __main__.py
	shellcheck -s sh -x -P SCRIPTDIR components/scripts/*.sh components/scripts/bin/redis-cli .ci/run .ci/comment sandbox/setup.sh sandbox/servers.sh tests/clients/setup.sh tests/clients/jars.sh tests/examples/setup.sh

e2e: .venv/tests $(if $(KUBECONFIG),,.venv/sandbox .venv/e2e) ## a real Pulumi engine on a real Kubernetes (ENGINE=DIR or PATH has the programs; LONG=1: all of it)
	@$(PYTHON) -m tests.e2e $(if $(ENGINE),--engine '$(ENGINE)') $(if $(LONG),--long) $(ARGS)

faults: .venv/tests .venv/sandbox ## measure every fault beside the plain deployment, and write docs/faults.md (12 minutes)
	@$(PYTHON) -m tests.faults.report --write docs/faults.md

clients: .venv/tests .venv/sandbox .clients/built ## drive seven client libraries through every fault at once, and write docs/clients.md (24 minutes; installs Node.js, Go and Java)
	@$(PYTHON) -m tests.clients --write

alerts: .venv/tests .venv/sandbox .venv/monitoring ## provoke alerts for real, and print when each fired and resolved (20 minutes; ALERTS="RedisDown …": only these)
	@$(PYTHON) -m tests.monitoring $(ALERTS)

picture: .venv/tests .venv/sandbox .venv/monitoring .venv/browser ## run stack local for some minutes, and write docs/dashboard.png: its dashboard in a browser (5 minutes; installs Chromium)
	@$(PYTHON) -m tests.monitoring.picture docs/dashboard.png

examples: .venv/tests .venv/sandbox .examples/built ## build the applications of examples/ and try each in the sandbox (2 minutes; installs Node.js, Go and Java)
	@$(PYTHON) -m pytest -q tests/examples

soak: .venv/tests .venv/sandbox ## kill pods and Jobs at random moments, also during changes of size (SEED=1; about an hour)
	@$(PYTHON) -m tests.faults.soak --seed $(SEED)
	@$(PYTHON) -m tests.resize.soak --seed $(SEED)

bench: .venv/tests .venv/sandbox .venv/bench ## measure throughput, latency, TTL, eviction and changes under load, beside memcached and nginx, and hold the plan's predictions to it (15 minutes); JSON=FILE PAGE=FILE WRITE=FILE keep it
	@$(PYTHON) -m tests.bench $(if $(JSON),--json '$(JSON)') $(if $(WRITE),--write '$(WRITE)') --page '$(or $(PAGE),.bench.html)' $(if $(WITHOUT),--without '$(WITHOUT)')

bench-plan: .venv/program ## measure how long `make plan` takes beside importing Pulumi
	@$(PYTHON) -m tests.preview.bench_plan

servers: .venv/program ## fetch more versions to run and test on: Redis 7.4 and 8.6, Valkey 8.1 (two minutes)
	@sh sandbox/servers.sh

test-servers: .venv/tests .venv/sandbox ## pod life, faults, reconciler and resizes on every other server of this machine, one after the other (15 minutes each; `make servers` fetches more)
	@$(PYTHON) -m tests.tested_server

bench-resize: .venv/tests .venv/sandbox ## measure every way of moving 2 GB of 1 MB values, and 200,000 of 1 kB (15 minutes); WRITE=FILE keeps it
	@$(PYTHON) -m tests.resize.bench $(if $(WRITE),--write '$(WRITE)')

bench-engines: .venv/tests .venv/sandbox ## compare the servers of this machine: memory, processor time, failover, moving (ten minutes); WRITE=FILE keeps it
	@$(PYTHON) -m tests.bench.engines $(if $(WRITE),--write '$(WRITE)')

bench-cpu-limit: .venv/tests .venv/sandbox ## measure what a CPU limit of one core costs during a full resync (two minutes)
	@$(PYTHON) -m tests.pod_life.bench_cpu_limit

format: .venv/tests ## format the code and correct what the linter can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: ## after a change of a list of Python packages (*.in): write what is installed, with versions and digests (*.txt)
	@sh sandbox/setup.sh lock

clean: ## remove what these commands made in this folder
	rm -rf $(VENV) .bench.html dashboard*.html .checkov .uv .clients .examples .servers tests/clients/node/node_modules examples/ioredis/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps inside the virtual environment: each is made once, and again when its list changes.
.venv/program: requirements.txt
	@sh sandbox/setup.sh venv requirements.txt
	@touch $@

.venv/tests: tests/requirements.txt .venv/program
	@sh sandbox/setup.sh venv tests/requirements.txt
	@touch $@

.venv/sandbox: sandbox/setup.sh sandbox/requirements.txt .venv/program
	@sh sandbox/setup.sh debian
	@sh sandbox/setup.sh venv sandbox/requirements.txt
	@touch $@

.venv/bench: sandbox/setup.sh .venv/program
	@sh sandbox/setup.sh bench
	@touch $@

.venv/monitoring: sandbox/setup.sh .venv/program
	@sh sandbox/setup.sh monitoring
	@touch $@

.venv/browser: sandbox/setup.sh .venv/program
	@sh sandbox/setup.sh browser
	@touch $@

.venv/actionlint: sandbox/setup.sh .venv/program
	@sh sandbox/setup.sh actionlint
	@touch $@

.checkov/built: tests/manifests/checkov.txt
	@sh sandbox/setup.sh checkov tests/manifests/checkov.txt
	@touch $@

.venv/e2e: sandbox/setup.sh .venv/program
	@sh sandbox/setup.sh node
	@touch $@

CLIENT_SOURCES := $(addprefix tests/clients/,requirements.txt setup.sh node/package.json go/go.mod go/main.go go/settings.go java/pom.xml java/Lettuce.java java/Settings.java)
.clients/built: $(CLIENT_SOURCES) sandbox/setup.sh .venv/tests
	@sh sandbox/setup.sh clients
	@sh tests/clients/setup.sh
	@touch $@

EXAMPLE_SOURCES := $(addprefix examples/,go-redis/go.mod go-redis/main.go go-redis/settings.go ioredis/package.json lettuce/pom.xml $(addprefix lettuce/src/main/java/,App.java Nearest.java Settings.java))
.examples/built: $(EXAMPLE_SOURCES) tests/examples/setup.sh tests/clients/requirements.txt sandbox/setup.sh .venv/tests
	@sh sandbox/setup.sh clients
	@sh tests/examples/setup.sh
	@touch $@
