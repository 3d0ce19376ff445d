# What a checkout can do. Every target sets up what it needs: Python >= 3.10 and pip are enough to begin with.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Most tests wait for other processes; so many run side by side.
WORKERS ?= 3
SOURCES := pyproject.toml .ci/constraints.txt $(shell find js -type f -not -path '*/node_modules/*' -not -path '*/lib/*')

.PHONY: help demo test lint bench clean
help:
	@echo "make demo             fine-tune a tiny model in JupyterLab and follow it here (ARGS=--exit: stop at its end)"
	@echo "make test             all checks and tests (ARGS=... goes to pytest)"
	@echo "make bench            measure, beside what people use instead (ARGS='logging watchers': some of it)"
	@echo "make lint             the checks alone: ruff, mypy, the TypeScript compiler"
	@echo "make clean            remove what was installed and built here"

# The environment is made anew when what it was made from has changed.
$(VENV)/installed: $(SOURCES)
	@test -x $(BIN)/python || .ci/venv $(PYTHON) $(VENV)
	@echo "Installing jupyter_trainlive and what it needs into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[train,lab,test]'
	@touch $@

demo: $(VENV)/installed
	@exec $(BIN)/python -m jupyter_trainlive.client.cli demo --folder .make/demo $(ARGS)

.make/tools: .ci/tools $(VENV)/installed
	@mkdir -p .make
	@.ci/tools $(BIN)/python
	@touch $@

js/node_modules/.checked: js/package-lock.json $(VENV)/installed
	@$(BIN)/python js/hatch_build.py ci --no-audit --no-fund
	@touch $@

lint: $(VENV)/installed js/node_modules/.checked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python js/hatch_build.py run typecheck

test: lint .make/tools
	$(BIN)/python js/hatch_build.py test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(VENV)/installed .make/tools
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf $(VENV) .make js/node_modules js/*/lib jupyter_trainlive/labextension jupyter_trainlive/notebook/static
