# The README's two commands. Each makes its own virtual environment in .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo example test

demo: .venv/installed
	test -e runs/demo/evaluation.json || $(BIN)/python -m mam_keras.fit configs/demo.yaml
	$(BIN)/python -m mam_keras.report runs/demo
	@echo "The demo's report: reports/demo/index.html"

# The page that is committed: trained and drawn by this very revision, so not where the clone holds other changes
example: .venv/installed
	git diff --quiet HEAD -- . ':!reports/example'
	$(BIN)/python -m mam_keras.fit configs/demo.yaml --overwrite
	$(BIN)/python -m mam_keras.report runs/demo --out reports/example

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[direct]'
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@
