# Recipes a newcomer guesses. `just` comes with the extra [dev].

python := env_var_or_default("PYTHON", ".venv/bin/python")

# Rewritten asserts are kept from run to run, whatever the shell says: half of the start of a suite.
export PYTHONDONTWRITEBYTECODE := ""

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

# The fast suite: under a minute, so that it is run before every commit.
test *args:
    {{python}} -m pytest -n auto --dist worksteal {{args}}

# The same tests, and how much of the code they reach: measuring doubles their time.
coverage *args:
    {{python}} -m pytest -n auto --dist worksteal --cov --cov-report=term {{args}}

# What foreign programs, virtual days and long kill loops say; many minutes.
judges *args: _judges-tools models
    {{python}} -m pytest tests --ignore=tests/acceptance -n auto --dist worksteal --override-ini=addopts=-ra --no-cov -m long {{args}}
    {{python}} -m pytest tests/acceptance --override-ini=addopts=-ra --no-cov --durations=10 {{args}}

# The judges without those that measure this machine.
judges-of-behaviour: _judges-tools models
    {{python}} -m pytest tests --ignore=tests/acceptance -n auto --dist worksteal --override-ini=addopts=-ra --no-cov -m long
    {{python}} -m pytest tests/acceptance --override-ini=addopts=-ra --no-cov --durations=10 -m "not timing"

# Features, worker pool and `levi train`, with the extra [ml]: it is fetched if it is not here.
models *args: _models-tools
    {{python}} -m pytest tests/inference tests/training tests/app/wiring/test_models.py tests/cli/test_train.py -n auto --dist worksteal {{args}}

# What it costs, beside the least that anybody could pay: one table, one JSON document; minutes.
bench *args:
    {{python}} -m benchmarks {{args}}

# A browser, a terminal, two more shells and Prometheus' own tool, where that is possible; judges that miss theirs say so.
_judges-tools:
    #!/usr/bin/env bash
    for program in chromium chromedriver promtool strace tmux zsh fish; do
        command -v "$program" > /dev/null || missing=1
    done
    if [ -n "${missing:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        (apt-get update -qq && apt-get install -y -qq --no-install-recommends \
            chromium chromium-driver prometheus fonts-dejavu-core strace tmux zsh fish) > /dev/null || true
    fi

# The extra [ml], about 350 MB, in the same environment; where it cannot be had, its tests are skipped.
_models-tools:
    #!/usr/bin/env bash
    {{python}} -c "import lightgbm, numpy, onnx, onnxruntime, talib, trio_parallel" 2> /dev/null && exit
    {{python}} -m pip install -q -e '.[dev,ml]' -c config/constraints.txt ||
        echo "[ml] cannot be installed here: the tests that need it are skipped, see below" >&2

# The fifteen engines of the example, on the built-in simulator.
run *args:
    {{python}} -m levitrio.cli.main run config/fleet.toml {{args}}
