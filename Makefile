# Every target makes .venv itself; nothing is needed but Python 3.11 or later and a C compiler.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test test-fast lint typecheck bench stability mutants kills verdicts docs clean

demo: $(STAMP)
	$(BIN)/ringproof demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-fast: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

lint: $(STAMP) typecheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .typecheck && ../$(BIN)/lint-imports --no-logo --config ../pyproject.toml

# The rooms of the house live in folders of their own; the checkers see them where they are installed.
typecheck: $(STAMP)
	rm -rf .typecheck
	mkdir -p .typecheck/ringproof
	cp -r ringproof/* model proofs impl .typecheck/ringproof/
	$(BIN)/mypy -p ringproof
	$(BIN)/mypy tests bench

bench: $(STAMP)
	$(BIN)/python -m bench

# Every theorem from ten seeds and in other words; takes some minutes.
stability: $(STAMP)
	$(BIN)/python -m ringproof.proofs.stability

# Writes docs/mutants.md.
mutants: $(STAMP)
	$(BIN)/python -m bench.mutants

# Writes docs/kills.md.
kills: $(STAMP)
	$(BIN)/python -m bench.kills

# Writes docs/verdicts.md; needs DPDK, QEMU, OVMF and a kernel.
verdicts: $(STAMP)
	$(BIN)/python -m bench.verdicts

# Writes docs/gallery/.
docs: $(STAMP)
	$(BIN)/python -m bench.gallery

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .typecheck build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
