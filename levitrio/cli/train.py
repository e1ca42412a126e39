"""`levi train`: trains a model on recordings or candle files, and evaluates it out of sample."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from levitrio.cli import terminal
from levitrio.cli.help_examples import epilog
from levitrio.cli.numbers import finite
from levitrio.cli.progress import Progress
from levitrio.errors import UsageError

if TYPE_CHECKING:
    from levitrio.training.bar_series import Series
    from levitrio.training.train import Trained

_PARTS = ("numpy", "onnx", "onnxruntime", "talib", "lightgbm")
_MAX_REFUSALS = 5


class ModelKind(StrEnum):
    """The kinds of models to train."""

    LOGISTIC = "logistic"
    BOOSTED = "boosted"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=epilog("train"))(train)


def train(
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="MODEL.onnx, or MODEL.txt for LightGBM's own format."),
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Candle files or recordings.")
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(metavar="SYMBOL", help="Only these symbols; repeat it for more."),
    ] = None,
    interval: Annotated[
        str, typer.Option(metavar="1m|1h|...", help="Length of a bar; a candle file has its own.")
    ] = "",
    model: Annotated[ModelKind, typer.Option(help="What to train.")] = ModelKind.LOGISTIC,
    horizon: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Bars ahead to predict.")
    ] = 1,
    folds: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Periods to evaluate on.")
    ] = 5,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="The same seed gives the same bytes.")
    ] = 1,
    fee: Annotated[
        float,
        typer.Option(min=0.0, max=0.1, metavar="X", help="Fraction of an order.", callback=finite),
    ] = 0.001,
    slippage: Annotated[
        float,
        typer.Option(min=0.0, max=0.1, metavar="X", help="Fraction of an order.", callback=finite),
    ] = 0.0005,
    long_above: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="P",
            help="The evaluation is long above this probability.",
            callback=finite,
        ),
    ] = 0.55,
    short_below: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="P",
            help="The evaluation is short below this probability.",
            callback=finite,
        ),
    ] = 0.45,
    simulate: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=365.0,
            metavar="DAYS",
            help="Train on so many days of a simulated market.",
            callback=finite,
        ),
    ] = 0.0,
    market_seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of the simulated market.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model card.")] = False,
) -> int:
    """Train a model and evaluate it walking forward. Its card is written to MODEL.json."""
    check_installed()
    from levitrio.training.evaluation import Costs
    from levitrio.training.train import Recipe
    from levitrio.training.train import train as train_model

    form: Literal["onnx", "lightgbm"] = "lightgbm" if out.suffix in (".txt", ".lgb") else "onnx"
    if out.suffix not in (".txt", ".lgb", ".onnx"):
        raise UsageError(f"--out: expected a name that ends in .onnx, .txt or .lgb, got {out}")
    if form == "lightgbm" and model is not ModelKind.BOOSTED:
        raise UsageError(f"--out {out}: LightGBM's format holds trees: add --model boosted")
    if short_below >= long_above:
        raise UsageError("--short-below: expected less than --long-above")
    if bool(files) == bool(simulate):
        raise UsageError(
            "expected candle files or recordings, or --simulate DAYS, got both or none"
        )
    _make_folder(out)
    bar = Progress()
    symbols = [each.replace("/", "").replace("-", "").upper() for each in symbol or ()]
    if simulate:
        series, sources = _simulated(symbols or ["BTCUSDT"], market_seed, simulate, bar)
    else:
        series, sources = _read(files or (), interval, symbols, bar)
    recipe = Recipe(
        kind=model.value,
        horizon=horizon,
        folds=folds,
        seed=seed,
        costs=Costs(fee=fee, slippage=slippage),
        long_above=long_above,
        short_below=short_below,
        form=form,
    )
    trained = train_model(series, recipe, sources=sources, progress=bar.show_step)
    bar.end()
    card_path = _write(out, trained)
    if as_json:
        terminal.write(json.dumps(trained.card))
    else:
        for line in report(out, card_path, trained.card):
            terminal.write(line)
    return 0


def check_installed() -> None:
    """Check that the extra `ml` is installed.

    Raises:
        UsageError: A package of it is missing.
    """
    if any(find_spec(part) is None for part in _PARTS):
        raise UsageError("levi train needs the extra: pip install 'levitrio[ml]'")


def _read(
    files: Sequence[Path], interval: str, symbols: Sequence[str], bar: Progress
) -> "tuple[list[Series], list[Mapping[str, Any]]]":
    from levitrio.training.bar_series import read_series

    found: list[Series] = []
    sources: list[Mapping[str, Any]] = []
    refused = 0

    def refuse(problem: str) -> None:
        nonlocal refused
        refused += 1
        if refused <= _MAX_REFUSALS:
            typer.echo(problem, err=True)

    for number, path in enumerate(files):
        bar.show_step(f"reading {path.name}", number / len(files))
        part = read_series(path, interval=interval, symbols=symbols, on_refused=refuse)
        interval = part[0].interval
        found += part
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        bars = sum(len(series.bars) for series in part)
        sources.append({"file": path.name, "sha256": digest, "bars": bars})
    if refused > _MAX_REFUSALS:
        typer.echo(f"{refused - _MAX_REFUSALS} more lines were refused", err=True)
    return found, sources


def _simulated(
    symbols: Sequence[str], seed: int, days: float, bar: Progress
) -> "tuple[list[Series], list[Mapping[str, Any]]]":
    from levitrio.training.bar_series import generated_series

    found = [
        generated_series(
            symbol,
            seed=seed,
            days=days,
            progress=lambda share, symbol=symbol: bar.show_step(f"simulating {symbol}", share),  # type: ignore[misc]
        )
        for symbol in symbols
    ]
    return found, [{"simulated_days": days, "market_seed": seed, "symbols": list(symbols)}]


def _make_folder(out: Path) -> None:
    """Make the folder of the model, before the training, which takes minutes."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from None


def _write(out: Path, trained: "Trained") -> Path:
    from levitrio.training.export import as_json

    card_path = out.with_suffix(".json")
    try:
        out.write_bytes(trained.content)
        card_path.write_bytes(as_json(trained.card))
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from None
    return card_path


def report(out: Path, card_path: Path, card: Mapping[str, Any]) -> list[str]:
    """The evaluation as lines, and the line to put into fleet.toml."""
    metrics, trading = card["metrics"], card["trading"]
    low, high = metrics["auc_95"]
    costs = f"fee {trading['fee']:g}, slippage {trading['slippage']:g}"
    lines = [
        f"{card['kind']} on {card['data']['rows']:,} rows of {', '.join(card['data']['symbols'])}",
        f"bars of {card['interval']}, {card['horizon_bars']} ahead; tested on {metrics['rows']:,}",
        f"AUC        {metrics['auc']:.4f}  (95 % {low:.4f} to {high:.4f}; chance is 0.5)",
        f"Brier      {metrics['brier']:.4f}  (base rate {metrics['brier_of_base_rate']:.4f})",
        f"hit rate   {metrics['hit_rate']:.4f}  (majority {metrics['hit_rate_of_majority']:.4f})",
        f"mean per symbol, not compounded; {costs}:",
    ]
    compared = {"model": trading["model"], **trading["baselines"]}
    lines += [
        f"  {name:<9} {each['net']:+9.2%} net {each['gross']:+9.2%} gross "
        f"{each['changes']:8,.0f} orders  {each['exposure']:4.0%} of the time"
        for name, each in compared.items()
    ]
    lines += [
        card["verdict"]["text"],
        f"Written: {out}, {card_path}. In fleet.toml, as a member of an ensemble:",
        f'  {{ model = "{out.as_posix()}", sha256 = "{card["sha256"]}" }}',
    ]
    return lines
