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
    {{python}} -m mypy examples

# The fast suite: under a minute, so that it is run before every commit.
test *args:
    {{python}} -m pytest -n auto --dist worksteal {{args}}

# The same tests, and how much of the code they reach: measuring doubles their time.
coverage *args:
    {{python}} -m pytest -n auto --dist worksteal --cov --cov-report=term {{args}}

# What foreign programs, a real browser, virtual days and long kill loops say, in seeded samples; many minutes.
acceptance *args: _acceptance-tools models
    {{python}} -m pytest tests --ignore=tests/acceptance -n auto --dist worksteal --override-ini=addopts=-ra --no-cov -m long
    {{python}} -m pytest tests/acceptance --override-ini=addopts=-ra --no-cov --durations=10 -m "not timing" {{args}}

# The same whole: 10,000 kills, and the figures of this machine, which wants to be quiet. Before a release; hours.
acceptance-full *args: _acceptance-tools models
    LEVI_KILLS=10000 {{python}} -m pytest tests --ignore=tests/acceptance -n auto --dist worksteal --override-ini=addopts=-ra --no-cov -m long
    LEVI_KILLS=10000 {{python}} -m pytest tests/acceptance --override-ini=addopts=-ra --no-cov --durations=10 {{args}}

# Features, worker pool and `levi train`, with the extra [ml]: it is fetched if it is not here.
models *args: _models-tools
    {{python}} -m pytest tests/inference tests/training tests/app/wiring/test_models.py tests/cli/test_train.py -n auto --dist worksteal {{args}}

# What it costs, beside a floor or a peer in the same run: one table, one JSON document; minutes.
bench *args: _benchmark-tools
    {{python}} -m benchmarks {{args}}

# A browser, a terminal, two more shells and Prometheus' own tool, where that is possible; a test that misses its program says so.
_acceptance-tools:
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

# The peers that the benchmarks measure beside us; nothing of levitrio imports them.
_benchmark-tools:
    {{python}} -c "import fastapi, httptools, orjson, uvicorn, uvloop" 2> /dev/null || {{python}} -m pip install -q -e '.[benchmarks]' -c config/constraints.txt

# The fifteen engines of the example, on the built-in simulator.
run *args:
    {{python}} -m levitrio.cli.main run config/fleet.toml {{args}}

# The fast suite with the lowest versions that pyproject.toml declares, in an environment of its own.
minimum *args:
    {{python}} .ci/minimum.py {{args}}

# Check, date the changelog, build, commit and tag a version: `just release 0.2.0`. Pushes nothing.
release version:
    {{python}} .ci/release.py {{version}}
