# Each target sets up what it needs: a virtual environment in .venv, versions from constraints.txt.
#   make run [DATA=folder]   refresh the marketplace once and report on its service levels
#   make ui  [PORT=3000]     Dagster's UI and daemon, schedules on
#   make stop                stop what runs in the background
#   make test, make check    all tests; format, lint, types

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 3000
DATA ?=
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run ui stop test check setup setup-dev
.DEFAULT_GOAL := run

run: setup
	@$(BIN)/platform-assets run $(if $(DATA),--data "$(DATA)")

ui: setup
	@$(BIN)/platform-assets ui --port "$(PORT)"

stop:
	@if [ -x $(BIN)/platform-assets ]; then $(BIN)/platform-assets stop; else echo "Nothing was set up, nothing runs."; fi

test: setup-dev
	@$(BIN)/pytest -n logical --dist loadfile

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pip check

# The lock lets two `make` in one folder wait for each other instead of installing over each other.
LOCKED := "$(PYTHON)" -c 'import fcntl, os, sys; lock = open(".setup.lock", "w"); fcntl.flock(lock, fcntl.LOCK_EX); \
  os.set_inheritable(lock.fileno(), True); os.execvp(sys.argv[1], sys.argv[1:])'

setup:
	@$(LOCKED) $(MAKE) --silent --no-print-directory $(VENV)/.installed

setup-dev:
	@$(LOCKED) $(MAKE) --silent --no-print-directory $(VENV)/.installed-dev

$(VENV)/.created:
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; found " + sys.version.split()[0] + ". Name another with: make PYTHON=/path/to/python3.11")'
	@echo "Creating a virtual environment in $(VENV) …"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.installed: setup.py constraints.txt $(VENV)/.created
	@echo "Installing packages (a minute or two, the first time only) …"
	@$(PIP_INSTALL) -e .
	@$(BIN)/platform-assets activation > /dev/null
	@touch $@

$(VENV)/.installed-dev: setup.py constraints.txt $(VENV)/.installed
	@echo "Installing packages for development …"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@
