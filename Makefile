# The two commands a newcomer needs are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COVERING ?= tests

.PHONY: help demo test fast lab lint types coverage soak bench bench-quick schema clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/' | sort

$(BIN)/provision: pyproject.toml
	@sh tools/venv $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.test: $(BIN)/provision
	@$(BIN)/pip install -q --disable-pip-version-check --config-settings editable_mode=compat -e '.[test]'
	@touch $@

demo: $(BIN)/provision ## install into .venv and apply the quickstart to this machine, as this user
	@$(BIN)/provision plan playbooks/quickstart.yml
	@$(BIN)/provision apply -y playbooks/quickstart.yml
	@echo; echo "It is all below ~/personaplex-quickstart. See what it would do now:  $(BIN)/provision plan playbooks/quickstart.yml"
	@echo "Take it back:  $(BIN)/provision rollback"

test: lint types fast lab ## everything; says what it leaves out where there is no lab

lint: $(VENV)/.test ## style and the import contract
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.test ## mypy --strict
	$(BIN)/mypy

fast: $(VENV)/.test ## tests that need no lab
	$(BIN)/pytest -n auto --dist loadfile -m "not lab and not bench" tests

lab: $(VENV)/.test ## tests on disposable hosts; needs root and systemd-nspawn
	@sh tools/lab-needs
	$(BIN)/pytest -n 2 --dist loadfile -rs -m "lab and not bench" tests
	$(BIN)/pytest -rs -m bench tests

coverage: $(VENV)/.test ## how much of agent/ and planning/ the tests reach, agents on lab hosts included
	@sh tools/lab-needs
	@$(BIN)/coverage erase
	PROVISION_COVERAGE=1 $(BIN)/coverage run -p -m pytest -m "not bench" $(COVERING)
	@$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90

soak: $(VENV)/.test ## the long counts: every kill, a line of figures for each proof
	PROVISION_CRASHES=all PROVISION_FUZZ=10000 PROVISION_PLAYBOOKS=200 $(BIN)/pytest tests/proofs
	PROVISION_FAULTS=all $(BIN)/pytest tests/lab/test_personaplex.py
	PROVISION_ENGINE=1 $(BIN)/pytest tests/lab/test_docker.py
	PROVISION_TORCH=1 $(BIN)/pytest tests/flows/test_torch_trap.py
	PROVISION_ORDERS=20 $(BIN)/pytest -m "lab" tests/lab/test_order.py
	PROVISION_CONTROLLERS=20 $(BIN)/pytest -m "lab" tests/lab/test_lease.py
	PROVISION_STEP=120 $(BIN)/pytest -m "lab" tests/lab/test_detached.py

bench: $(VENV)/.test ## us, the floor and our peers on lab hosts; writes docs/bench.json and docs/bench.svg (under 30 minutes)
	@sh tools/lab-needs
	$(BIN)/python -m tests.benchmarks

bench-quick: $(VENV)/.test ## a plan and a run over SSH beside the floor
	$(BIN)/python -m tests.benchmarks quick

schema: $(BIN)/provision ## the JSON schema that editors read
	$(BIN)/provision schema > schema.json

clean: ## removes what was built here
	rm -rf $(VENV) .coverage .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
