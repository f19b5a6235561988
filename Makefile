# make run: install what is missing and open the page. make test: all that a change has to pass.
# make bench: the engine's speed, as ratios measured in one run.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
APT := DEBIAN_FRONTEND=noninteractive apt-get
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# A stamp is named after what its requirements say, so a changed pin is installed and an unchanged one is not.
sum = $(shell cat $(1) | cksum | cut -d ' ' -f 1)
APP_STAMP := $(VENV)/.app-$(call sum,requirements.txt)
TEST_STAMP := $(VENV)/.test-$(call sum,requirements.txt training/requirements.txt tests/requirements.txt)

.PHONY: run test bench linters python compiler chromium node

run: $(APP_STAMP)
	$(BIN)/python app.py

test: $(TEST_STAMP) chromium linters
	$(BIN)/ruff check .
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest

bench: $(TEST_STAMP)
	$(BIN)/python -m benchmarks

# What `python -m training evaluate --against` compares with; installed once for each package-lock.json.
linters: $(TEST_STAMP) node
	$(BIN)/python -m training.linters install

$(APP_STAMP): | python compiler
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the app into $(VENV). llama-cpp-python is compiled here once, which takes about five minutes."
	$(PIP) install -r requirements.txt
	@rm -f $(VENV)/.app-* && touch $@

# torch comes first and exactly: whatever else wants a torch then finds this one.
$(TEST_STAMP): $(APP_STAMP)
	@echo "Installing what training and the tests need into $(VENV): torch and its kin, some gigabytes."
	$(PIP) install "$$(grep -x 'torch==.*' training/requirements.txt)"
	$(PIP) install -r training/requirements.txt -r tests/requirements.txt
	@rm -f $(VENV)/.test-* && touch $@

# install_or_ask(what is missing, packages): apt-get where that is ours to do, else the command to type.
define install_or_ask
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "$(1) is missing: apt-get install $(2)"; \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends $(2) >/dev/null; } || exit 1; \
	elif command -v apt-get >/dev/null; then \
	  echo "$(1) is missing. As root, type: apt-get install $(2)   and then make again." >&2; exit 1; \
	else \
	  echo "$(1) is missing. Install it with this system's packages (on Debian: $(2)), then make again." >&2; exit 1; \
	fi
endef

python:
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { $(call install_or_ask,Python's venv module,python3-venv); }

compiler:
	@{ command -v c++ && command -v cmake; } >/dev/null \
	  || { $(call install_or_ask,A C++ compiler or CMake,g++ cmake); }

chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || { $(call install_or_ask,A Chromium,chromium fonts-dejavu-core); }

node:
	@{ command -v node && command -v npm; } >/dev/null || { $(call install_or_ask,Node.js or npm,nodejs npm); }
