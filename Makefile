# ros2_clickgs: `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP := $(VENV)/.setup
DATA ?=

# Debian/Ubuntu packages: libraries that open3d loads, and the compiler for the ROS interfaces.
APT := libusb-1.0-0 libgl1 libegl1 libgomp1 g++ python3-venv
# SAM 2 is built with the torch that is there; in isolation pip would fetch another one for it.
SAM2 = $(shell sed -n 's/^sam2 = \[\(.*\)\]/\1/p' pyproject.toml | tr -d ,)
INTERFACES := $(wildcard msg/*.msg srv/*.srv action/*.action)
BUILD_FILES := pyproject.toml setup.py CMakeLists.txt package.xml $(wildcard cmake/*)
# Launch files and configuration are copied into the environment, too.
SHARED_FILES := $(wildcard launch/* config/*)

# A sourced environment of other ROS wheels would be inherited by our interpreter.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
# Two OpenMP pools, torch's and numba's, share the cores: waiting threads must not spin.
export OMP_WAIT_POLICY := PASSIVE
# Tests and demos keep to this machine and out of each other's way.
ISOLATED = ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$(($$$$ % 100 + 1))
PYTEST = $(ISOLATED) $(BIN)/python -m pytest

.PHONY: help setup system-packages demo test test-all lint bench bench-gpu clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(STAMP) ## create .venv with everything that is needed (no ROS installation necessary)

$(STAMP): $(INTERFACES) $(BUILD_FILES) $(SHARED_FILES)
	@$(MAKE) --no-print-directory system-packages
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): about 6 GB, mostly torch; some minutes the first time"
	$(PIP) "setuptools>=77" --editable ".[test]"
	SAM2_BUILD_CUDA=0 $(PIP) --no-build-isolation $(SAM2)
	touch $@

system-packages:
	@missing=$$(for package in $(APT); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
	    || echo $$package; done); \
	command -v g++ >/dev/null && missing=$$(echo $$missing | tr ' ' '\n' | grep -vx 'g++'); \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	    && missing=$$(echo $$missing | tr ' ' '\n' | grep -vx python3-venv); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "apt-get install" $$missing; \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	        apt-get -qq install --yes --no-install-recommends $$missing >/dev/null; \
	else \
	    echo "please install these system packages if the next steps fail:" $$missing; \
	fi

demo: setup ## click three objects through the real nodes; DATA=FOLDER takes your own map and images
	$(ISOLATED) $(BIN)/clickgs demo $(if $(DATA),--data $(DATA))

test: setup ## the tests that take seconds and need no GPU
	$(PYTEST) -m "not slow and not gpu"

test-all: setup ## all tests; those that need a GPU or data skip where there is none
	$(PYTEST)

lint: setup ## formatting, style, types, spelling
	$(PIP) --editable ".[dev]"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/codespell

bench: setup ## the figures of the README, measured here
	$(BIN)/clickgs bench

bench-gpu: setup ## votes on this machine's GPU beside gsplat's own passes; builds gsplat first
	@$(BIN)/python -c 'import torch; torch.cuda.is_available() \
	    or exit("bench-gpu: torch sees no CUDA device; nothing to measure")'
	$(PIP) --editable ".[gpu]" matplotlib
	$(BIN)/python -m benchmarks.gpu

clean: ## remove everything that was built, the environment included
	rm -rf $(VENV) build install log *.egg-info demo_out
	rm -rf ros2_clickgs/msg ros2_clickgs/srv ros2_clickgs/action ros2_clickgs/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
