# The verbs of this checkout; `make` alone lists them.

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check --quiet
N    ?= 100000
SECONDS ?= 300

# The copy that is installed is a strict editable one: links to the sources, laid out as a wheel lays them out, so
# that the type checker sees where plumbing/ and porcelain/ belong. It is made again when a file comes or goes.
FOLDERS := $(shell find replican plumbing porcelain man -type d -not -name __pycache__ 2>/dev/null)
INSTALL := $(PIP) install --config-settings editable_mode=strict -e

# Tests share nothing but the machine, so processes take them from each other: two more than there are cores in the smallest
# machine, since many of them wait, for clocks, flushes and links.
SIDE_BY_SIDE := -n 4 --dist worksteal

.PHONY: help sync test torture torture-check fuzz bench bench-wire bench-watch dist clean

help:
	@echo 'make sync A=FOLDER B=FOLDER   keep two folders in step (B missing or empty: it becomes a copy of A)'
	@echo 'make test                     style, types and tests'
	@echo 'make torture N=100000         N random histories, and a fiftieth as many on real folders: hours'
	@echo 'make torture-check            plant mistakes, and see that those histories catch each of them'
	@echo 'make fuzz SECONDS=300         fuzz what reads the wire, by atheris, where that installs'
	@echo 'make bench                    measure against rsync, unison and git'
	@echo 'make bench-wire               measure against rsync, over a pipe and over a sshd on loopback'
	@echo 'make bench-watch              measure folders that are watched'
	@echo 'make dist                     build wheel and sdist into dist/'
	@echo 'make clean                    remove whatever the others made'

# A and B reach the recipe through the environment, so that no character in them means anything to the shell.
sync: $(VENV)/installed
	@set -eu; replican='$(CURDIR)/$(BIN)/replican'; \
	if [ -z "$${A:-}" ] || [ -z "$${B:-}" ]; then echo 'usage: make sync A=FOLDER B=FOLDER' >&2; exit 2; fi; \
	case $$A in '~/'*) A=$$HOME/$${A#'~/'};; esac; \
	case $$B in '~/'*) B=$$HOME/$${B#'~/'};; esac; \
	if ! [ -d "$$A" ]; then echo "make sync: no such folder: $$A" >&2; exit 2; fi; \
	if [ -d "$$B/.replican" ]; then \
	  if [ -d "$$A/.replican" ] && name=$$("$$replican" -C "$$B" remote list --json | \
	      '$(CURDIR)/$(BIN)/python' tests/support/which_remote.py "$$A"); then \
	    exec "$$replican" -C "$$B" sync "$$name"; \
	  elif [ -d "$$A/.replican" ] && name=$$("$$replican" -C "$$A" remote list --json | \
	      '$(CURDIR)/$(BIN)/python' tests/support/which_remote.py "$$B"); then \
	    exec "$$replican" -C "$$A" sync "$$name"; \
	  fi; \
	  echo "make sync: $$B is a replica, but neither folder has the other as a remote" >&2; \
	  echo "hint: $(BIN)/replican -C '$$B' remote add NAME '$$A', then $(BIN)/replican -C '$$B' sync NAME" >&2; exit 2; \
	fi; \
	if [ -d "$$B" ] && [ -n "$$(ls -A "$$B")" ]; then \
	  echo "make sync: $$B has files and is no replica" >&2; \
	  echo "hint: to start from the union of both: $(BIN)/replican clone --join '$$A' '$$B'" >&2; exit 2; \
	fi; \
	exec "$$replican" clone "$$A" "$$B"

# mypy runs elsewhere than here, where replican/ without its two folders of commands would be found first. The tests
# write into a folder of this run's own: one for all runs, as pytest has it, fills the disk, and what a run that was
# killed left mounted there ends the next.
test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p replican
	@made=$$(mktemp -d) || exit 1; \
	if $(BIN)/pytest $(SIDE_BY_SIDE) --basetemp="$$made"; then rm -rf "$$made" || :; \
	else echo "make test: what the tests wrote is left in $$made" >&2; exit 1; fi

torture: $(VENV)/installed-dev
	REPLICAN_TORTURE=$(N) $(BIN)/pytest $(SIDE_BY_SIDE) tests/properties tests/scripts/test_crashes.py \
	    tests/scripts/test_faults.py tests/scripts/test_power_cuts.py tests/scripts/test_every_damage.py

# That the histories bite: each of the mistakes planted in replican has to be caught by them.
torture-check: $(VENV)/installed-dev
	REPLICAN_TORTURE_CHECK=1 $(BIN)/pytest $(SIDE_BY_SIDE) -v tests/properties/test_defects.py

# Finds are kept as crash-... in .fuzz/, where what was found to reach new code is kept for the next time, too.
fuzz: $(VENV)/installed-dev
	@$(PIP) install 'atheris>=2.3,<4' || { echo 'make fuzz: atheris does not install here' >&2; exit 1; }
	$(BIN)/python tests/support/fuzz_wire.py .fuzz/ -artifact_prefix=.fuzz/ -max_len=4096 \
	    -max_total_time=$(SECONDS)

# What is measured is what a user has: the program as a wheel installs it, compiled. In the editable copy, links and
# (where bytecode is not written) every import would be measured, too.
bench bench-wire bench-watch: $(BIN)/python
	$(BIN)/python -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip --disable-pip-version-check --quiet install .
	.venv-bench/bin/python -m compileall -q .venv-bench/lib >/dev/null || true
	.venv-bench/bin/python bench/$(patsubst bench-%,%,$(patsubst bench,run,$@)).py

dist: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build --quiet
	@ls dist/*

clean:
	rm -rf $(VENV) .venv-bench build dist replican.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A name may be there and not run (a version manager's stub), or lack venv: so each is tried.
$(BIN)/python:
	@for python in "$${PYTHON:-}" python3 python3.13 python3.12 python3.11; do \
	  [ -n "$$python" ] || continue; \
	  if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo 'replican needs Python 3.11 or newer with venv:' >&2; \
	echo '    sudo apt install python3 python3-venv' >&2; exit 1

$(VENV)/installed: $(BIN)/python pyproject.toml $(FOLDERS)
	$(INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml $(FOLDERS)
	$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/installed
