# `just --list` shows the commands; `just setup` makes the environment.

setup:
    python3 -m venv .venv
    .venv/bin/pip install --require-hashes --requirement requirements-dev.lock
    .venv/bin/pip install --no-deps --editable .

# Fast tests
test *arguments:
    .venv/bin/pytest --quiet -n auto -m "not slow and not e2e" {{arguments}}

# Lint, format, types, prose
check:
    .venv/bin/ruff check . .ci
    .venv/bin/ruff format --check . .ci
    .venv/bin/mypy
    .venv/bin/python .ci/prose.py
    .venv/bin/python .ci/generate.py --check

# Renew generated files
generate:
    .venv/bin/python .ci/generate.py

# Serve the documentation with live reload
docs:
    .venv/bin/mkdocs serve

# Everything that a release must pass
gate:
    bash .ci/run
