"""`python -m benchmarks [--json FILE] [NAME...]`: measure, print one table and one document.

NAME is a measurement or a subject (`supervision`); without any, everything is measured. A goal
that is missed is shown; the exit code is 1 only when a measurement itself breaks.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import report
from benchmarks.measurement import Measurement, Row, chosen


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own); returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the document there, not to stdout")
    parser.add_argument("names", metavar="NAME", nargs="*", help="a measurement or a subject")
    options = parser.parse_args(argv)
    for module in sorted(Path(__file__).parent.glob("bench_*.py")):
        import_module(f"benchmarks.{module.stem}")
    try:
        measurements = chosen(options.names)
    except ValueError as error:
        parser.error(str(error))
    return run(measurements, options.json)


def run(measurements: Sequence[Measurement], json_file: str | None) -> int:
    """Measure, print and write; returns the exit code."""
    rows: list[Row] = []
    broken: dict[str, str] = {}
    for measurement in measurements:
        print(f"measuring {measurement.name} ...", file=sys.stderr, flush=True)
        begun = len(rows)
        try:
            rows += measurement.run()
            print(report.table(rows[begun:]), file=sys.stderr, flush=True)
        except Exception as error:  # noqa: BLE001  the others are still worth measuring
            traceback.print_exc()
            broken[measurement.name] = f"{type(error).__name__}: {error}"
    text = json.dumps(report.document(rows, broken), indent=None if json_file is None else 2)
    print(report.table(rows))
    for name, reason in broken.items():
        print(f"BROKEN {name}: {reason}")
    if json_file is None:
        print(text)
    else:
        Path(json_file).write_text(f"{text}\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
