# The commands that developers, the README and CI share. `make` without a target lists them.

VENV := .venv
BIN := $(VENV)/bin
APP := $(BIN)/python -m cnnviz.ui
# More options for pytest, such as `make test PYTEST="-x tests/test_arrays.py"`.
PYTEST :=
# Options for `make mutants`, such as MUTANTS="--each 2 cnnviz/arrays.py".
MUTANTS :=
# Two processes; which tests stay together, and their order, is in tests/conftest.py.
PARALLEL := -n 2 --no-loadscope-reorder
# What `make test-fast` collects; without the tests in there that are marked as slow.
FAST := cnnviz tests/test_*.py tests/attribution tests/batch tests/features tests/figures tests/inspection \
    tests/lessons tests/networks tests/photos

# The package's bytecode. Where Python may not write it, each process would compile the modules again,
# and anywhere the first one.
COMPILE := $(BIN)/python -m compileall -q cnnviz

# Options for uv, such as `make lock LOCK="--upgrade-package keras"`.
LOCK :=

.PHONY: help run test test-fast mutants lint types bench screenshots wheel prove-docker prove-replicas prove-tls audit lock clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/.converted  ## install and convert what is missing and open the app
	$(COMPILE)
	$(APP)

test: lint types  ## lint, types, doctests, unit, page and browser tests
	$(COMPILE)
	$(BIN)/python -m scripts.find_browser
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST)

test-fast: $(VENV)/.dev  ## doctests and unit tests: no page, no browser, no training
	$(COMPILE)
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(FAST) $(PYTEST)

mutants: $(VENV)/.dev  ## plant faults in the core modules, and count those test-fast catches
	$(BIN)/python -m scripts.mutants $(MUTANTS)

lint: $(VENV)/.dev  ## style of Python and JavaScript, Dockerfile, imports, security of the code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/oxlint --deny-warnings cnnviz/ui/components
	$(BIN)/hadolint Dockerfile
	$(BIN)/bandit --quiet --recursive app.py pages cnnviz

types: $(VENV)/.dev  ## static types
	$(BIN)/mypy

bench: $(VENV)/.dev  ## measure the backend, then the app in a browser
	$(COMPILE)
	$(BIN)/python -m benchmarks.explain
	$(BIN)/python -m benchmarks.app

screenshots: $(VENV)/.dev  ## make the README's pictures from the running app
	$(BIN)/python -m scripts.screenshots

wheel: $(VENV)/.dev  ## build dist/cnnviz-*.whl, which holds the app and the models too
	$(BIN)/python -m hatchling build --target wheel

prove-docker: $(VENV)/.made  ## run the Dockerfile's steps without a container engine
	$(BIN)/python -m scripts.prove_dockerfile python -m cnnviz predict \
	    /models/imagenet_efficientnet_lite0.keras cnnviz/samples/chelsea.png

prove-tls: $(VENV)/.dev  ## open the app by HTTPS through nginx, with a certificate of our own
	$(BIN)/python -m scripts.prove_tls

prove-replicas: $(VENV)/.dev  ## kill one of two replicas behind nginx, without a container engine
	$(BIN)/python -m scripts.prove_replicas

audit: $(VENV)/.made  ## check the pinned packages for known vulnerabilities (asks PyPI)
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r requirements.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r requirements-dev.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r requirements-ray.txt

lock: $(VENV)/.made  ## pin what pyproject.toml names, and all that it pulls in, with hashes
	$(BIN)/python -m pip install --quiet uv
	scripts/lock.sh $(BIN)/uv $(LOCK)

clean:  ## remove the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is made once. A stamp file in it is newer than the requirements that it holds.
$(VENV)/.made:
	scripts/make_venv.sh $(VENV)
	touch $@

$(VENV)/.run: requirements.txt | $(VENV)/.made
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

# Half a minute that the first visitor need not wait. Without it TensorFlow runs the models.
$(VENV)/.converted: $(VENV)/.run cnnviz/shipped_models.sha256
	@echo "Converting the models of cnnviz for LiteRT, once:"
	@if $(BIN)/python -m cnnviz convert; then touch $@; else echo "The app works without."; fi

$(VENV)/.dev: requirements.txt requirements-dev.txt | $(VENV)/.made
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@ $(VENV)/.run
