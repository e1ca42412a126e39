"""Examples shown at the end of a command's help."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": (
        "levi init                        a fleet.toml to start from",
        "levi run fleet.toml              in this terminal",
        "levi ctl status                  from another terminal",
    ),
    "run": (
        "levi run fleet.toml",
        "levi run binance.toml --live     real orders; [broker] must be real too",
        "levi run fleet.toml --log-format json | tee fleet.jsonl",
    ),
    "strategies": ("levi strategies", "levi strategies ema_cross mine:Strategy"),
    "record": ("levi record fleet.toml --out monday.gz --for 3600",),
    "replay": (
        "levi replay fleet.toml --recording monday.gz --html report.html",
        "levi replay fleet.toml --recording BTCUSDT=candles.csv --set risk.max_daily_loss=0.02",
        "levi replay fleet.toml --recording monday.gz --sweep defaults.params.fast=10,20,40",
    ),
    "simulator": (
        "levi simulator --port 9443",
        "levi simulator --port 9443 --api-key me --api-secret secret",
    ),
    "train": (
        "levi train candles.csv --out model.onnx",
        "levi train --simulate 30 --symbol BTCUSDT --out model.onnx",
    ),
    "journal check": ("levi journal check fleet.toml",),
    "journal export": ("levi journal export fleet.toml --out tables",),
    "alerts test": ("levi alerts test fleet.toml",),
    "ctl": (
        "levi ctl status                  the state of every engine, and why",
        "levi ctl restart SOLUSDT --wait",
        "levi ctl stop 'SOL*' BTCUSDT",
        "levi ctl halt --reason drill     no order leaves until unhalt",
    ),
    "ctl status": (
        "levi ctl status SOLUSDT 'BTC*'",
        "levi ctl status --watch",
        "levi ctl status --json || mail -s fleet me < /dev/null",
    ),
    "ctl reload": ("levi ctl reload --dry-run", "levi ctl reload --keep-position"),
    "ctl history": ("levi ctl history SOLUSDT -n 3",),
    "ctl events": ("levi ctl events --follow --json",),
    "ctl logs": ("levi ctl logs", "levi ctl logs SOLUSDT -f -n 100"),
    "ctl flatten": ("levi ctl flatten SOLUSDT", "levi ctl flatten --all"),
}
"""Command: lines to type, some with a short explanation."""

EXIT_CODES = (
    "Exit codes: 0 fine; 1 failed; 2 wrong usage or unknown symbol; 3 some engine is",
    "not as wanted; 4 no fleet answers.",
)


def epilog(command: str) -> str | None:
    """The examples of a command, for the end of its help; None without examples."""
    lines = EXAMPLES.get(command)
    if lines is None:
        return None
    parts = ["\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)]
    if command == "ctl":
        parts.append("\b\n" + "\n".join(EXIT_CODES))
    return "\n\n".join(parts)
