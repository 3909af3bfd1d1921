# make run, make test: each sets up .venv first, and only when something changed.
PYTHON ?= $(or $(shell command -v python3.11),python3)
MODEL ?= efficientnet_b0
DEVICE ?= cpu
# The README's commands, and nothing of the caller's environment, decide what is installed.
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INPUTS = pyproject.toml constraints.txt benchbench/__init__.py

.PHONY: run test test-extended test-slow lint format readme bench-count bench-help bench-zoo bench-trust bench-runtimes bench-kills clean

run: .venv/.installed
	.venv/bin/python -m benchbench model=$(MODEL) device=$(DEVICE) $(ARGS)

test: .venv/.installed-test
	.venv/bin/python -m pytest -q -n 2 $(ARGS)

test-extended: .venv/.installed-test
	.venv/bin/python -m pytest -q -n 2 -m 'extended and not slow' $(ARGS)

test-slow: .venv/.installed-test
	.venv/bin/python -m pytest -q -m slow $(ARGS)

lint: .venv/.installed-test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy --strict

format: .venv/.installed-test
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

readme: .venv/.installed-test
	.venv/bin/python tests/readme.py
	.venv/bin/python tests/zoo.py

bench-count: .venv/.installed-test
	.venv/bin/python tests/benchmarks/count.py

bench-help: .venv/.installed-test
	.venv/bin/python tests/benchmarks/help.py

bench-zoo: .venv/.installed-test
	.venv/bin/python tests/benchmarks/zoo.py $(ARGS)

bench-trust: .venv/.installed-test
	.venv/bin/python tests/benchmarks/trust.py $(ARGS)

bench-runtimes: .venv/.installed-test
	.venv/bin/python tests/benchmarks/runtimes.py $(ARGS)

bench-kills: .venv/.installed-test
	.venv/bin/python tests/benchmarks/kills.py $(ARGS)

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: $(INPUTS) | .venv/bin/python
	$(PIP) --editable .
	touch $@

.venv/.installed-test: $(INPUTS) | .venv/bin/python
	$(PIP) --editable '.[test]'
	touch .venv/.installed $@
