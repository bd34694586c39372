# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Nothing is needed but git, make and Python 3.11 or newer with venv and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DATA_LOCK := requirements-data.lock
DEV := $(VENV)/.installed-for-development

.PHONY: env dev install demo bundle test check format docs bench scale accuracy stress inputs trial soak

env: $(STAMP)

$(STAMP): requirements.lock requirements-data.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "flowmrd needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11."; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(MAKE) --no-print-directory install PYTHON=$(BIN)/python
	@touch $@

# What tests and checks need besides: pytest, mypy, browsers' driver, optional packages.
dev: $(DEV)

$(DEV): $(STAMP) requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# flowmrd itself and the data of the demo, into the environment of $(PYTHON), which holds the locked packages: the last
# step of `make env`, and of those who use conda, in the activated environment. Compiled here once: where Python may not
# write beside its sources, every stage of every tube would compile them again.
install:
	site="$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . && \
	$(PYTHON) -S .ci/relative_path.py "$$site"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --upgrade --require-hashes --target "$$($(PYTHON) -c 'import sys; print(sys.prefix)')/share/flowmrd" -r $(DATA_LOCK)
	$(PYTHON) -m compileall -q --invalidation-mode checked-hash src/flowmrd
	$(PYTHON) -c "from flowmrd.report.page import compile_templates; compile_templates()"

# A real B-ALL tube and a simulated cohort, from FCS to reports.
demo: env
	$(BIN)/flowmrd demo demo

# In three processes side by side; `.venv/bin/python -m pytest tests/...` for some of them.
test: dev
	$(BIN)/python tests/side_by_side.py

# Lint, formats, types, workflow.
check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/python -m flowmrd.cli.generated --check
	$(BIN)/snakemake --lint

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# Schemas and reference pages, written from the models and the command line.
docs: env
	$(BIN)/python -m flowmrd.cli.generated

# Wheels, lock, sources and a script: an installation without a network; installed once to check it.
bundle: env
	$(BIN)/python -m flowmrd.cli.bundle bundle

# Long campaigns; their last results are in docs/.
bench: env
	$(BIN)/python benchmarks/preprocess.py
	$(BIN)/python -m benchmarks.classifier --docs
	$(BIN)/python -m benchmarks.gating --docs
	$(BIN)/python -m benchmarks.gating_drift --docs
	$(BIN)/python -m benchmarks.gating_robustness --docs

# Whole runs, small and large, and the schedule of a thousand tubes: hours.
scale: env
	$(BIN)/python -m benchmarks.scale

accuracy: env
	$(BIN)/python -m benchmarks.accuracy

# Tubes in which one thing went wrong; rows that are there already are not run again.
stress: env
	$(BIN)/python -m benchmarks.stress

# Inputs that are not what they seem, a thousand variants: refused, read right, told, silently wrong.
inputs: env
	$(BIN)/python -m benchmarks.inputs.exchanged_labels --docs
	$(BIN)/python -m benchmarks.inputs --docs

trial: env
	$(BIN)/flowmrd simulate trial-demo --preset trial
	$(BIN)/flowmrd run trial-demo
	$(BIN)/python -m benchmarks.published_trial trial-demo

soak: dev
	$(BIN)/python -m benchmarks.soak
