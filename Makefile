# Each target works after a clone. Python, npm and Cargo tools are pinned; Debian's packages are not. Python's programs go
# into virtual environments below target/. Cargo's programs take minutes to compile, so they go below Cargo's own folder,
# where the next clone finds them. Debian's packages are installed only if they are missing, and only by root (the pipelines)
# or where sudo needs no password; otherwise the missing package is named.

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

# What was answered when it was deployed first, else the machine's own processor.
DEPLOYED := $(shell sed -n 's/^parameter_overrides.*Architecture=[\\"]*\([a-z0-9_]*\).*/\1/p' samconfig.toml)
ARCHITECTURE ?= $(or $(DEPLOYED),$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64))
# Seconds for each kind of input.
FUZZ_SECONDS ?= 60
# Shortens a release build at the cost of speed and size. `make build` (for Lambda) takes it only with QUICK=1, and
# `make deploy` and `make nightly` never.
QUICK_PROFILE := CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0

# Debian puts nginx where only root looks.
export PATH := $(TOOLS)/$(CARGO_DENY)/bin:$(TOOLS)/$(CARGO_FUZZ)/bin:$(CURDIR)/$(VENV)/bin:$(PATH):/usr/sbin
export SAM_CLI_TELEMETRY ?= 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# rustup fetches the version that rust-toolchain.toml names. Where it may not, an installed toolchain of that version
# under the name `stable` does as well.
RUST := $(shell sed -n 's/^channel = "\([0-9.]*\)"/\1/p' rust-toolchain.toml)
ifeq ($(and $(RUST),$(findstring $(RUST),$(shell rustup toolchain list 2> /dev/null))),)
ifneq ($(findstring rustc $(RUST) ,$(shell RUSTUP_TOOLCHAIN=stable rustc --version 2> /dev/null)),)
export RUSTUP_TOOLCHAIN := stable
endif
endif

# $(call need,COMMAND,PACKAGE): the command works, or Debian's package is installed and then it does.
need = @$(1) > /dev/null 2>&1 || $(call install,$(2))
install = { [ "$$(id -u)" = 0 ] && root= || root="sudo -n"; command -v apt-get > /dev/null && $$root true 2> /dev/null \
	|| { echo "make: '$(firstword $(1))' is missing: install it, or what your system calls it" >&2; exit 1; }; \
	$$root apt-get update -q && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(1); }

.PHONY: help demo test test-rust test-player test-python test-template second-opinions prove check audit fuzz nightly nightly-build nightly-roles nightly-kills nightly-fuzz bench lock build deploy invoke cc player player-page deploy-player origin ansible log-script script deploy-playbook

help: ## Print this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target text; do \
		printf '  make %-16s %s\n' "$$target" "$$text"; done

# With SERVE=1 no function has a part in it, and the player's page has.
SERVING := $(filter-out 0,$(SERVE))

demo: cc $(if $(SERVING),player-page) ## See it work on this machine: loopback AWS, the real programs, the story line by line; SERVE=1: a live stream to watch
	$(call need,ffmpeg -version,ffmpeg)
	cargo build --package demo --package onair $(if $(SERVING),,$(FUNCTIONS))
	$(BUILT)/debug/demo $(if $(SERVING),--serve $(PLAYER_PAGE))

test: test-rust test-player test-python test-template second-opinions ## Run every test: the five targets below

# Stories wait for clocks and retries most of their time, so more of them run at once than there are processors.
test-rust: cc player player-page origin ansible ## Rust tests; a real player, a real origin, a real Ansible
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) * 2))} cargo test --workspace
	cargo test --workspace --test player --test origin -- --ignored --test-threads 1

test-player: cc player player-page ## The page and the demo's stream in Chromium
	cargo build --package demo --package onair
	node tests/player/page.mjs
	node tests/player/demo.mjs $(BUILT)/debug/demo

test-python: cc ansible $(VENV)/ready ## boto3 on the stand-in, the playbook, the SQL of the documents, the pipelines
	cargo build --package stand-in --examples --package onair
	ONAIR_PROGRAM=$(abspath $(BUILT)/debug/onair) python -m pytest tests/clients tests/ansible tests/athena tests/pipelines

# The tests of one file run in one process: they share a stack.
test-template: cc log-script $(VENV)/ready ## The template, and sam build of all functions
	$(QUICK_PROFILE) python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope -m "build or not build" tests/template

second-opinions: cc $(VENV)/ready ## Stories against moto, under the roles of the template
	python tests/template/second_opinions.py

prove: cc $(VENV)/ready ## The same, and record in tests/template/proven.json which statements are proven to be needed
	python tests/template/second_opinions.py --write

check: cc $(TOOLS)/$(CARGO_DENY)/ready ## Format, lints, licences and banned crates, documentation: nothing may be found
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@[ "$(words $(FEATURES))" -ge 6 ] || { echo "make: the features of onair-aws are not found" >&2; exit 1; }
	for feature in $(FEATURES); do \
		cargo clippy --quiet --package onair-aws --features $$feature --locked -- -D warnings; done
	cargo deny --locked check bans licenses sources
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

audit: cc $(TOOLS)/$(CARGO_DENY)/ready ## Look for known vulnerabilities in the crates used: needs GitHub
	cargo deny --locked check advisories

# On stable Rust: coverage is a pass of LLVM that needs no nightly compiler, the sanitizers would (fuzz/src/lib.rs).
fuzz: cc $(TOOLS)/$(CARGO_FUZZ)/ready ## Feed broken input to the core: make fuzz FUZZ_SECONDS=600
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
				echo "fuzz: repeat it: ONAIR_FUZZ_INPUT=$$1 cargo fuzz run $${options[*]} input fuzz/artifacts/$$1-..." >&2; return 1; }; \
		sed -n "s/^stat::number_of_executed_units: */fuzz: $$1: nothing found in inputs tried: /p" target/fuzz/$$1.log; \
	}; \
	mkdir -p fuzz/artifacts; running=(); failed=0; \
	for folder in fuzz/seeds/*; do try $${folder##*/} & running+=($$!); done; \
	for process in "$${running[@]}"; do wait $$process || failed=1; done; \
	exit $$failed

nightly: nightly-build nightly-roles nightly-kills nightly-fuzz ## What takes long: the true release build, every statement of the roles, publish-live killed 1,000 times beside ffmpeg, and 15 minutes of fuzzing per kind of input. Runs every night on GitHub

nightly-build: cc $(VENV)/ready
	python -m pytest -m build tests/template

# A pipeline keeps no file: what the record lacks is in its log, and the run fails until it is committed.
nightly-roles: cc $(VENV)/ready
	python tests/template/second_opinions.py --all
	@git --no-pager diff --exit-code HEAD -- tests/template/proven.json \
		|| { echo "make: tests/template/proven.json differs from the commit: commit it as it is now" >&2; exit 1; }

nightly-kills: cc
	$(call need,ffmpeg -version,ffmpeg)
	ONAIR_KILLS=1000 cargo test --package stories --test stories however_often_the_daemon_is_killed -- --nocapture

nightly-fuzz:
	$(MAKE) fuzz FUZZ_SECONDS=900

bench: cc $(VENV_BENCH)/ready ## Measure beside s5cmd, rclone, the AWS CLI, boto3 and GoAccess: make bench BENCH="deleting --runs 3"
	$(call need,rclone version,rclone)
	$(call need,command -v incrond,incron)
	$(call need,goaccess --version,goaccess)
	cargo build --release --package bench --package onair $(FUNCTIONS)
	PATH="$(CURDIR)/$(VENV_BENCH)/bin:$$PATH" ONAIR_BENCH_PYTHON="$(CURDIR)/$(VENV_BENCH)/bin/python" \
		$(BUILT)/release/bench $(BENCH)

# Locks wheels for all platforms, so one file serves every machine. --no-deps: pip would otherwise resolve extras again,
# unpinned.
lock: $(VENV_LOCK)/ready ## Resolve the Python packages after a change to a requirements.in; versions stay unless UPGRADE=1
	for list in tests/requirements bench/requirements tests/lock; do \
		$(VENV_LOCK)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build \
			$(if $(UPGRADE),--upgrade) --custom-compile-command "make lock" $$list.in --output-file $$list.txt; \
	done

# CloudFormation gets template.yaml as it is: no step inserts a file.
script: $(VENV)/ready ## Copy the programs in functions/complete-lifecycle/instance into template.yaml
	python tests/template/programs.py

build: cc $(VENV)/ready ## Build the functions for Lambda: make build ARCHITECTURE=arm64; QUICK=1: only to see that they build
	$(if $(filter-out 0,$(QUICK)),$(QUICK_PROFILE)) sam build --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: override QUICK := 0
deploy: build ## Deploy to the AWS account of your credentials; asks for the parameters until samconfig.toml has them
	@[ "$(or $(DEPLOYED),$(ARCHITECTURE))" = "$(ARCHITECTURE)" ] \
		|| { echo "make: samconfig.toml says $(DEPLOYED), and this is built for $(ARCHITECTURE)" >&2; exit 1; }
	sam deploy $(if $(DEPLOYED),,--guided --parameter-overrides Architecture=$(ARCHITECTURE))

invoke: cc $(VENV)/ready ## Run a function here on an event, dry unless DRY_RUN=false: make invoke CASE=prune-recording/recording-end
	tests/invoke.sh $(CASE)

# aws-lc, the cryptography under TLS, is C.
cc:
	@cargo --version > /dev/null || { echo "make: Rust is missing: install it by https://rustup.rs" >&2; exit 1; }
	$(call need,cc --version,gcc libc6-dev)

# What the stories of tests/player are watched with.
player: $(PLAYER)/ready
	$(call need,chromium --version,chromium)
	$(call need,ffmpeg -version,ffmpeg)
	$(call need,node --version,nodejs)

# What the stories of tests/origin run: the programs that origin/ configures.
origin:
	$(call need,nginx -v,nginx)
	$(call need,ls /usr/lib/nginx/modules/ngx_rtmp_module.so,libnginx-mod-rtmp)
	$(call need,ffmpeg -version,ffmpeg)

# What tests/ansible and an instance of tests/origin run: the playbook of ansible/ and the program that it configures.
ansible:
	$(call need,ansible-playbook --version,ansible-core)
	$(call need,nginx -v,nginx)
	$(call need,logrotate --version,logrotate)

# What tests/template reads and runs the log script with. The virtual environment has shellcheck, but not for Linux on arm64.
log-script: $(VENV)/ready
	$(call need,shellcheck --version,shellcheck)
	$(call need,nginx -v,nginx)

player-page: $(PLAYER_PAGE)/index.html ## Build the player's page, static files for any web server, into target/player-page

# A folder made anew and moved: what was renamed or deleted is not left behind, and nothing half done is ever served.
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

# Beside the pair's playlist, because CloudFront may read nothing of that bucket but the pair's folder; in the live bucket
# in a folder of its own, where the transcoder cannot write and nothing expires. Each kind has its own command, since `aws s3 cp` gives what it copies one Content-Type; its own guess is the machine's (mime.types), and
# a browser runs no module of a wrong type. The page goes last: what it names is there by then. Nothing is kept long:
# CloudFront does not keep it longer than the steering manifest or a live playlist, and browsers ask again by ETag.
deploy-player: player-page ## Put the player's page beside the stack's streams: make deploy-player STACK=on-air
	@aws --version > /dev/null || { echo "make: the AWS CLI is missing: install its version 2" >&2; exit 1; }
	@put() { aws s3 cp --only-show-errors --recursive --exclude '*' --include "$$2" --content-type "$$3" \
		--cache-control 'public, max-age=60' $(PLAYER_PAGE) "$$1"; }; \
	page() { put "$$1" '*.mjs' 'text/javascript; charset=utf-8'; put "$$1" '*.js' 'text/javascript; charset=utf-8'; \
		put "$$1" '*.css' 'text/css; charset=utf-8'; put "$$1" '*.svg' image/svg+xml; \
		put "$$1" '*.txt' 'text/plain; charset=utf-8'; put "$$1" '*.html' 'text/html; charset=utf-8'; echo "$$2"; }; \
	pair=$$($(call stack,PairPlayerUrl)); live=$$($(call stack,LivePlayerPageUrl)); \
	[[ $$pair$$live == *https://* ]] || { echo "make: the stack '$(STACK)' has neither a pair nor a live bucket:" \
		"deploy one, or name another stack by STACK=" >&2; exit 1; }; \
	if [[ $$pair == https://*/*/index.m3u8 ]]; then \
		bucket=$$($(call stack,PairPublicBucketName)); folder=$${pair%/index.m3u8}/player; \
		page "s3://$$bucket/$${folder#https://*/}" "$$folder/index.html"; \
	fi; \
	if [[ $$live == https://* ]]; then \
		bucket=$$($(call stack,LiveBucketName)); page "s3://$$bucket/player" "$$live"; \
	fi

# What the playbook takes from origin/ lies beside it there. Systems Manager fetches the whole folder, so what is no longer
# a part of it goes; anybody's own files beside it go, too. The playbook itself is put last: what it names is there by then.
deploy-playbook: ## Put ansible/ where the stack's instances fetch it: make deploy-playbook STACK=on-air
	@aws --version > /dev/null || { echo "make: the AWS CLI is missing: install its version 2" >&2; exit 1; }
	@bucket=$$($(call stack,FleetBucketName)); \
	[[ $$bucket =~ ^[a-z0-9][a-z0-9.-]+$$ ]] || { echo "make: the stack '$(STACK)' has no fleet: deploy one by AutoScalingGroup" \
		"or WebSubnets, or name another stack by STACK=" >&2; exit 1; }; \
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

# The folder's name is what `cargo install` takes, so each version has its own. Unoptimised, a tool is there in a third of
# the time.
$(TOOLS)/cargo-%/ready:
	cargo install --quiet --debug --locked --root $(@D) cargo-$*
	touch $@
