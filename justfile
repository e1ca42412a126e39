# Recipes a newcomer guesses. `just` comes with the extra [dev].

python := env_var_or_default("PYTHON", ".venv/bin/python")

# List the recipes.
default:
    @just --list

# A virtual environment with everything a developer needs.
setup:
    python3 -m venv .venv
    .venv/bin/pip install -q -e '.[dev]' -c config/constraints.txt

# Format and sort.
fmt:
    {{python}} -m ruff format .
    {{python}} -m ruff check --fix .

lint:
    {{python}} -m ruff format --check .
    {{python}} -m ruff check .

type:
    {{python}} -m mypy

# The fast suite, with coverage.
test *args:
    {{python}} -m pytest --cov --cov-report=term {{args}}

# What foreign programs and long kill loops say; minutes.
judges *args:
    {{python}} -m pytest tests/judges --override-ini=addopts=-ra --no-cov {{args}}

# The fifteen engines of the example, on the built-in simulator.
run *args:
    {{python}} -m levitrio.cli.main run config/fleet.toml {{args}}
