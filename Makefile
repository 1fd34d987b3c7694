# Each target works after a clone. Python, npm and Cargo tools are pinned; Debian packages are not. Python programs are
# installed in virtual environments below target/. Cargo programs take minutes to compile, so they are installed below
# Cargo's own folder, where the next clone finds them. Debian packages are installed only if they are missing, and only by
# root (the pipelines) or where sudo needs no password; otherwise an error names the missing package.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO_DENY := cargo-deny@0.20.2
CARGO_FUZZ := cargo-fuzz@0.13.2
TOOLS := $(or $(CARGO_HOME),$(HOME)/.cargo)/onair-tools
VENV := target/venv
VENV_BENCH := target/venv-bench
VENV_LOCK := target/venv-lock
PLAYER := target/player
PLAYER_PAGE := target/player-page
PLAYER_PAGE_NPM := target/player-page-npm
BUILT := $(or $(CARGO_TARGET_DIR),target)
# The features of onair-aws: one for each service, and http.
FEATURES := $(shell sed -n '/^\[features\]/,/^$$/s/^\([a-z0-9]*\) = .*/\1/p' crates/onair-aws/Cargo.toml)
FUNCTIONS := $(addprefix --package ,$(notdir $(wildcard functions/*)))

# The answer of the first deployment, else the machine's own processor.
DEPLOYED := $(shell sed -n 's/^parameter_overrides.*Architecture=[\\"]*\([a-z0-9_]*\).*/\1/p' samconfig.toml)
ARCHITECTURE ?= $(or $(DEPLOYED),$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64))
# Seconds per kind of input.
FUZZ_SECONDS ?= 60
# Shortens a release build at the cost of speed and size. `make build` (for Lambda) uses it only with QUICK=1;
# `make deploy` and `make nightly` do not use it.
QUICK_PROFILE := CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0

# Debian installs nginx in /usr/sbin, which is in the PATH of root only.
export PATH := $(TOOLS)/$(CARGO_DENY)/bin:$(TOOLS)/$(CARGO_FUZZ)/bin:$(CURDIR)/$(VENV)/bin:$(PATH):/usr/sbin
export SAM_CLI_TELEMETRY ?= 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# rustup downloads the version that rust-toolchain.toml names. Without a network, an installed toolchain `stable` of the
# same version is used instead.
RUST := $(shell sed -n 's/^channel = "\([0-9.]*\)"/\1/p' rust-toolchain.toml)
ifeq ($(and $(RUST),$(findstring $(RUST),$(shell rustup toolchain list 2> /dev/null))),)
ifneq ($(findstring rustc $(RUST) ,$(shell RUSTUP_TOOLCHAIN=stable rustc --version 2> /dev/null)),)
export RUSTUP_TOOLCHAIN := stable
endif
endif

# $(call need,COMMAND,PACKAGE): checks that the command works, and installs the Debian package if not.
need = @$(1) > /dev/null 2>&1 || $(call install,$(2))
install = { [ "$$(id -u)" = 0 ] && root= || root="sudo -n"; command -v apt-get > /dev/null && $$root true 2> /dev/null \
	|| { echo "make: '$(firstword $(1))' is missing: install this Debian package, or its equivalent on your system" >&2; exit 1; }; \
	$$root apt-get update -q && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(1); }

.PHONY: help demo test test-rust test-player test-python test-template second-opinions prove check audit fuzz nightly nightly-build nightly-roles nightly-kills nightly-fuzz bench lock build deploy invoke cc player player-page deploy-player origin ansible log-script script deploy-playbook

help: ## Print this list of targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target text; do \
		printf '  make %-16s %s\n' "$$target" "$$text"; done

# SERVE=1 needs the player's page, and no function.
SERVING := $(filter-out 0,$(SERVE))

demo: cc $(if $(SERVING),player-page) ## Run the demo on this machine, with the real programs and loopback AWS; SERVE=1: serve a live stream
	$(call need,ffmpeg -version,ffmpeg)
	cargo build --package demo --package onair $(if $(SERVING),,$(FUNCTIONS))
	$(BUILT)/debug/demo $(if $(SERVING),--serve $(PLAYER_PAGE))

test: test-rust test-player test-python test-template second-opinions ## Run every test: the five targets below

# Stories mostly wait for clocks and retries, so more of them run at once than there are processors.
test-rust: cc player player-page origin ansible ## Run the Rust tests, also those with a real player, origin and Ansible
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) * 2))} cargo test --workspace
	cargo test --workspace --test player --test origin -- --ignored --test-threads 1

test-player: cc player player-page ## Test the player's page and the demo's stream in Chromium
	cargo build --package demo --package onair
	node tests/player/page.mjs
	node tests/player/demo.mjs $(BUILT)/debug/demo

test-python: cc ansible $(VENV)/ready ## Test boto3 on the stand-in, the playbook, the SQL of the documents, the pipelines
	cargo build --package stand-in --examples --package onair
	ONAIR_PROGRAM=$(abspath $(BUILT)/debug/onair) python -m pytest tests/clients tests/ansible tests/athena tests/pipelines

# The tests of one file run in one process, because they share a stack.
test-template: cc log-script $(VENV)/ready ## Test the template, and sam build of all functions
	$(QUICK_PROFILE) python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope -m "build or not build" tests/template

second-opinions: cc $(VENV)/ready ## Run stories against moto, under the roles of the template
	python tests/template/second_opinions.py

prove: cc $(VENV)/ready ## As second-opinions, and record the needed statements of the roles in tests/template/proven.json
	python tests/template/second_opinions.py --write

check: cc $(TOOLS)/$(CARGO_DENY)/ready ## Check format, lints, licences, banned crates and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@[ "$(words $(FEATURES))" -ge 6 ] || { echo "make: crates/onair-aws/Cargo.toml: found fewer than 6 features" >&2; exit 1; }
	for feature in $(FEATURES); do \
		cargo clippy --quiet --package onair-aws --features $$feature --locked -- -D warnings; done
	cargo deny --locked check bans licenses sources
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

audit: cc $(TOOLS)/$(CARGO_DENY)/ready ## Check the crates for known vulnerabilities (needs access to GitHub)
	cargo deny --locked check advisories

# On stable Rust: coverage is an LLVM pass that needs no nightly compiler. Sanitizers would need one (fuzz/src/lib.rs).
fuzz: cc $(TOOLS)/$(CARGO_FUZZ)/ready ## Fuzz the core with malformed input: make fuzz FUZZ_SECONDS=600
	$(call need,c++ --version,g++)
	@export $(QUICK_PROFILE) CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_OPT_LEVEL=3; \
	options=(--sanitizer none --features libfuzzer); \
	cargo fuzz build "$${options[@]}"; \
	try() { \
		mkdir -p target/fuzz/$$1; \
		seeds=(fuzz/seeds/$$1); [ $$1 != event ] || seeds+=(events/*/); \
		ONAIR_FUZZ_INPUT=$$1 cargo fuzz run "$${options[@]}" input target/fuzz/$$1 "$${seeds[@]}" -- -dict=fuzz/words.dict \
			-max_len=8192 -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=fuzz/artifacts/$$1- > target/fuzz/$$1.log 2>&1 \
			|| { grep -a -A2 panicked target/fuzz/$$1.log || true; tail -n 30 target/fuzz/$$1.log; \
				echo "fuzz: reproduce with: ONAIR_FUZZ_INPUT=$$1 cargo fuzz run $${options[*]} input fuzz/artifacts/$$1-..." >&2; return 1; }; \
		sed -n "s/^stat::number_of_executed_units: */fuzz: $$1: no failure; inputs tried: /p" target/fuzz/$$1.log; \
	}; \
	mkdir -p fuzz/artifacts; running=(); failed=0; \
	for folder in fuzz/seeds/*; do try $${folder##*/} & running+=($$!); done; \
	for process in "$${running[@]}"; do wait $$process || failed=1; done; \
	exit $$failed

nightly: nightly-build nightly-roles nightly-kills nightly-fuzz ## Run the slow checks: optimised release build, all statements of the roles, 1,000 kills of publish-live, 15 minutes of fuzzing per input

nightly-build: cc $(VENV)/ready
	python -m pytest -m build tests/template

# A pipeline keeps no file: the log has the missing statements, and the run fails until they are committed.
nightly-roles: cc $(VENV)/ready
	python tests/template/second_opinions.py --all
	@git --no-pager diff --exit-code HEAD -- tests/template/proven.json \
		|| { echo "make: tests/template/proven.json differs from the commit: commit the new version" >&2; exit 1; }

nightly-kills: cc
	$(call need,ffmpeg -version,ffmpeg)
	ONAIR_KILLS=1000 cargo test --package stories --test stories however_often_the_daemon_is_killed -- --nocapture

nightly-fuzz:
	$(MAKE) fuzz FUZZ_SECONDS=900

bench: cc $(VENV_BENCH)/ready ## Compare with s5cmd, rclone, the AWS CLI, boto3 and GoAccess: make bench BENCH="deleting --runs 3"
	$(call need,rclone version,rclone)
	$(call need,command -v incrond,incron)
	$(call need,goaccess --version,goaccess)
	cargo build --release --package bench --package onair $(FUNCTIONS)
	PATH="$(CURDIR)/$(VENV_BENCH)/bin:$$PATH" ONAIR_BENCH_PYTHON="$(CURDIR)/$(VENV_BENCH)/bin/python" \
		$(BUILT)/release/bench $(BENCH)

# Locks wheels for all platforms, so that one file works on every machine. pip installs with --no-deps: it would resolve
# extras again, unpinned.
lock: $(VENV_LOCK)/ready ## Lock the Python packages after a change of a requirements.in; UPGRADE=1 takes new versions
	for list in tests/requirements bench/requirements tests/lock; do \
		$(VENV_LOCK)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build \
			$(if $(UPGRADE),--upgrade) --custom-compile-command "make lock" $$list.in --output-file $$list.txt; \
	done

# CloudFormation gets template.yaml unchanged: no later step inserts a file.
script: $(VENV)/ready ## Copy the programs in functions/complete-lifecycle/instance into template.yaml
	python tests/template/programs.py

build: cc $(VENV)/ready ## Build the functions for Lambda: make build ARCHITECTURE=arm64; QUICK=1: unoptimised, as a test
	$(if $(filter-out 0,$(QUICK)),$(QUICK_PROFILE)) sam build --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: override QUICK := 0
deploy: build ## Deploy with your AWS credentials; asks for parameters that samconfig.toml does not have
	@[ "$(or $(DEPLOYED),$(ARCHITECTURE))" = "$(ARCHITECTURE)" ] \
		|| { echo "make: samconfig.toml has Architecture=$(DEPLOYED), but the build is for $(ARCHITECTURE): use one of them for both" >&2; exit 1; }
	sam deploy $(if $(DEPLOYED),,--guided --parameter-overrides Architecture=$(ARCHITECTURE))

invoke: cc $(VENV)/ready ## Run a function on this machine, as a dry run unless DRY_RUN=false: make invoke CASE=prune-recording/recording-end
	tests/invoke.sh $(CASE)

# aws-lc, the cryptography library for TLS, is written in C.
cc:
	@cargo --version > /dev/null || { echo "make: Rust is missing: install it from https://rustup.rs" >&2; exit 1; }
	$(call need,cc --version,gcc libc6-dev)

# The programs that the stories of tests/player need.
player: $(PLAYER)/ready
	$(call need,chromium --version,chromium)
	$(call need,ffmpeg -version,ffmpeg)
	$(call need,node --version,nodejs)

# The programs that origin/ configures, which the stories of tests/origin run.
origin:
	$(call need,nginx -v,nginx)
	$(call need,ls /usr/lib/nginx/modules/ngx_rtmp_module.so,libnginx-mod-rtmp)
	$(call need,ffmpeg -version,ffmpeg)

# Ansible, and the programs that the playbook configures: for tests/ansible and an instance of tests/origin.
ansible:
	$(call need,ansible-playbook --version,ansible-core)
	$(call need,nginx -v,nginx)
	$(call need,logrotate --version,logrotate)

# Programs that check and run the log script in tests/template. The virtual environment has no shellcheck for Linux on
# arm64.
log-script: $(VENV)/ready
	$(call need,shellcheck --version,shellcheck)
	$(call need,nginx -v,nginx)

player-page: $(PLAYER_PAGE)/index.html ## Build the player's page, static files for any web server, into target/player-page

# A new folder replaces the old one at once: no renamed or deleted file remains, and no incomplete folder is served.
$(PLAYER_PAGE)/index.html: $(PLAYER_PAGE_NPM)/ready $(wildcard player/*.html player/*.css player/*.js player/*.svg)
	@for file in $(filter %.js,$^); do node --check "$$file"; done
	rm -rf $(@D) $(@D).new
	mkdir -p $(@D).new
	cp $(filter player/%,$^) $(PLAYER_PAGE_NPM)/node_modules/hls.js/dist/hls.min.mjs \
		$(PLAYER_PAGE_NPM)/node_modules/hls.js/dist/hls.worker.js $(@D).new
	cp $(PLAYER_PAGE_NPM)/node_modules/hls.js/LICENSE $(@D).new/LICENSE.hls.js.txt
	sed -i '/^\/\/# sourceMappingURL=/d' $(@D).new/hls.min.mjs $(@D).new/hls.worker.js
	mv $(@D).new $(@D)
	touch $@

# $(call stack,OUTPUT): the value of an output of the stack.
STACK ?= $(or $(shell sed -n 's/^stack_name *= *"\(.*\)"/\1/p' samconfig.toml | tail -n 1),on-air)
stack = aws cloudformation describe-stacks --stack-name $(STACK) \
	--query "Stacks[0].Outputs[?OutputKey=='$(1)'].OutputValue" --output text

# Target: beside the pair's playlist, because CloudFront may read only the pair's folder of that bucket. In the live bucket
# the page has its own folder, where the transcoder cannot write and nothing expires. Each file type has its own command,
# because `aws s3 cp` sets one Content-Type for all files; its own guess depends on the machine (mime.types), and a browser
# runs no module of a wrong type. The page is uploaded last, after all that it names. Caches keep nothing for long:
# CloudFront as long as the steering manifest or a live playlist, and browsers revalidate by ETag.
deploy-player: player-page ## Upload the player's page to the stack's buckets: make deploy-player STACK=on-air
	@aws --version > /dev/null || { echo "make: the AWS CLI is missing: install its version 2" >&2; exit 1; }
	@put() { aws s3 cp --only-show-errors --recursive --exclude '*' --include "$$2" --content-type "$$3" \
		--cache-control 'public, max-age=60' $(PLAYER_PAGE) "$$1"; }; \
	page() { put "$$1" '*.mjs' 'text/javascript; charset=utf-8'; put "$$1" '*.js' 'text/javascript; charset=utf-8'; \
		put "$$1" '*.css' 'text/css; charset=utf-8'; put "$$1" '*.svg' image/svg+xml; \
		put "$$1" '*.txt' 'text/plain; charset=utf-8'; put "$$1" '*.html' 'text/html; charset=utf-8'; echo "$$2"; }; \
	pair=$$($(call stack,PairPlayerUrl)); live=$$($(call stack,LivePlayerPageUrl)); \
	[[ $$pair$$live == *https://* ]] || { echo "make: the stack '$(STACK)' has neither a pair nor a live bucket:" \
		"set Pair or LivePrefix, or name another stack with STACK=" >&2; exit 1; }; \
	if [[ $$pair == https://*/*/index.m3u8 ]]; then \
		bucket=$$($(call stack,PairPublicBucketName)); folder=$${pair%/index.m3u8}/player; \
		page "s3://$$bucket/$${folder#https://*/}" "$$folder/index.html"; \
	fi; \
	if [[ $$live == https://* ]]; then \
		bucket=$$($(call stack,LiveBucketName)); page "s3://$$bucket/player" "$$live"; \
	fi

# Files that the playbook uses from origin/ are uploaded beside it. Systems Manager downloads the whole folder, so obsolete
# files are deleted, and so are other files in it. The playbook itself is uploaded last, after all that it names.
deploy-playbook: ## Upload ansible/ to the bucket of the stack's instances: make deploy-playbook STACK=on-air
	@aws --version > /dev/null || { echo "make: the AWS CLI is missing: install its version 2" >&2; exit 1; }
	@bucket=$$($(call stack,FleetBucketName)); \
	[[ $$bucket =~ ^[a-z0-9][a-z0-9.-]+$$ ]] || { echo "make: the stack '$(STACK)' has no fleet: set AutoScalingGroup" \
		"or WebSubnets, or name another stack with STACK=" >&2; exit 1; }; \
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	mkdir -p "$$folder/origin/nginx" "$$folder/templates"; \
	cp ansible/*.yml "$$folder"; cp ansible/templates/* "$$folder/templates"; \
	cp origin/nginx/web.conf origin/nginx/proxy.conf "$$folder/origin/nginx"; cp origin/logrotate.conf "$$folder/origin"; \
	aws s3 sync --only-show-errors --exclude '*.yml' "$$folder" "s3://$$bucket/ansible"; \
	aws s3 sync --only-show-errors --delete "$$folder" "s3://$$bucket/ansible"; \
	echo "s3://$$bucket/ansible/"

$(PLAYER)/ready: tests/player/package.json tests/player/package-lock.json tests/player/.npmrc
$(PLAYER_PAGE_NPM)/ready: player/package.json player/package-lock.json player/.npmrc
$(PLAYER)/ready $(PLAYER_PAGE_NPM)/ready:
	$(call need,npm --version,npm)
	mkdir -p $(@D)
	cp $^ $(@D)
	npm ci --silent --no-audit --no-fund --prefix $(@D)
	touch $@

$(VENV)/ready: tests/requirements.txt
$(VENV_BENCH)/ready: bench/requirements.txt
$(VENV_LOCK)/ready: tests/lock.txt
%/ready:
	$(call need,python3 -m ensurepip --version,python3-venv)
	rm -rf $*
	python3 -m venv $*
	$*/bin/pip install --quiet --require-hashes --no-deps --only-binary :all: --requirement $<
	$*/bin/pip check
	touch $@

# The folder's name is the argument of `cargo install`, so each version has its own folder. An unoptimised build takes a
# third of the time.
$(TOOLS)/cargo-%/ready:
	cargo install --quiet --debug --locked --root $(@D) cargo-$*
	touch $@
