"""What a replay costs beside a bare loop that only decodes the same file."""

import gzip
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.frames import RECORDINGS, symbols
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import medians
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.records.journal.entries import Entry, IntentEntry, OutcomeEntry
from levitrio.records.journal.sqlite.journal_file import JournalFile
from levitrio.records.journal.write_requests import rows_of_all
from levitrio.replay.data.open_tape import open_tape
from levitrio.replay.replay_journal import in_passing
from levitrio.replay.report.report import document
from levitrio.replay.run import Replay
from levitrio.trading.market import Quote, Trade
from levitrio.trading.orders import Fill, Order, OrderStatus, Side

ENGINES = 15
LINES = 150_000

_START_MS = 1_790_000_000_000
_TIMES = re.compile('"([ET])":([0-9]{13})')


class _TradeFrame(msgspec.Struct, gc=False):
    stream: str
    data: Trade


class _QuoteFrame(msgspec.Struct, gc=False):
    stream: str
    data: Quote


def write_walk(path: Path, names: list[str], lines: int, seed: int = 1) -> None:
    """Nothing but trades, each at a new price: averages cross as often as they ever can."""
    chance = random.Random(seed)
    cents = dict.fromkeys(names, 6_000_000)
    ids = dict.fromkeys(names, 1_000_000)
    time_ms = _START_MS
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            name = chance.choice(names)
            if chance.random() < 0.2:
                time_ms += chance.randrange(1, 40)
            ids[name] += 1
            cents[name] += chance.randint(-50, 50)
            file.write(
                f'{time_ms * 1_000_000 + number % 1000} {{"stream":"{name.lower()}@trade",'
                f'"data":{{"e":"trade","E":{time_ms + 1},"s":"{name}","t":{ids[name]},'
                f'"p":"{cents[name] / 100:.2f}000000","q":"0.02000000","T":{time_ms},'
                f'"m":{"true" if chance.random() < 0.5 else "false"},"M":true}}}}\n'
            )


def write_copies(path: Path, names: list[str], lines: int) -> bool:
    """What really happened on one pair, under many names, each from another minute on.

    Depth updates are left out: the bare loop would be slowed down by decoding them. Returns
    whether there is a recording to copy.
    """
    source = RECORDINGS / "btcusdt_20240808.gz"
    if not source.exists():
        return False
    with gzip.open(source, "rt", encoding="utf-8") as file:
        real = [line for line in file if "@trade" in line or "@bookTicker" in line]
    each = lines // len(names)
    step = (len(real) - each) // len(names)
    copied: list[tuple[int, str]] = []
    for number, name in enumerate(names):
        part = real[number * step : number * step + each]
        shift = int(part[0][:19]) - _START_MS * 1_000_000
        for line in part:
            time_ns = int(line[:19]) - shift
            text = line[20:].replace("btcusdt", name.lower()).replace("BTCUSDT", name)
            copied.append((time_ns, _TIMES.sub(_shifted(shift // 1_000_000), text)))
    copied.sort(key=lambda timed: timed[0])
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{time_ns} {text}" for time_ns, text in copied)
    return True


def _shifted(shift_ms: int) -> Callable[[re.Match[str]], str]:
    return lambda match: f'"{match[1]}":{int(match[2]) - shift_ms}'


def write_fleet(folder: Path, names: list[str], slow: int = 26) -> FleetConfig:
    """Fifteen times the EMA crossover 12/26 on trades, as everybody else is measured with."""
    path = folder / "fleet.toml"
    engines = "".join(f"[engines.{name}]\n" for name in names)
    path.write_text(
        "[simulator]\n[risk]\nmax_symbol_exposure = 0.01\nmax_open_positions = 15\n"
        f"max_daily_loss = 1\nmax_drawdown = 1\nmax_orders_per_minute = 100000\n"
        f"[defaults]\nparams = {{ slow = {slow} }}\n{engines}"
    )
    return load(path)


def decode_all(path: Path) -> float:
    """Seconds of the bare loop: every line is read and decoded, nothing else."""
    trade, quote = (
        msgspec.json.Decoder(_TradeFrame).decode,
        msgspec.json.Decoder(_QuoteFrame).decode,
    )
    begun = time.perf_counter()
    with path.open("rb") as file:
        for line in file:
            if b"@trade" in line:
                trade(line[20:])
            else:
                quote(line[20:])
    return time.perf_counter() - begun


def replay_all(config: FleetConfig, path: Path) -> tuple[float, Replay]:
    """Seconds of a whole replay, its report included."""
    begun = time.perf_counter()
    replay = Replay(config, open_tape(config, [str(path)]))
    replay.run()
    document(replay, recording=[path.name], overrides=[])
    return time.perf_counter() - begun, replay


@measures
def replay_beside_decoding() -> Iterable[Row]:
    """Fifteen engines, orders, fills and journal included, and the report."""
    names = symbols(ENGINES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_fleet(folder, names)
        copies, walk = folder / "copies.jsonl", folder / "walk.jsonl"
        if write_copies(copies, names, LINES):
            goal = Goal(limit=0.25, target=0.5, at_least=True)
            yield _beside_decoding(config, copies, "a real minute under 15 names", goal)
        write_walk(walk, names, LINES)
        yield _beside_decoding(config, walk, "a random walk, as many orders as can be", None)


@measures
def order_of_a_replay() -> Iterable[Row]:
    """From the signal to the report, beside its records alone: made, journaled, nothing decided."""
    names = symbols(ENGINES)
    with tempfile.TemporaryDirectory() as name:
        walk = Path(name, "walk.jsonl")
        write_walk(walk, names, LINES)
        silent = write_fleet(Path(name), names, slow=LINES)
        config = write_fleet(Path(name), names)
        orders = len(replay_all(config, walk)[1].replay_journal.orders)
        seconds = medians(
            {
                "trading": lambda: replay_all(config, walk)[0],
                "silent": lambda: replay_all(silent, walk)[0],
                "records": partial(_record_all, orders),
            },
            5,
        )
    yield Row(
        name="order of a replay, 15 engines, half of them holding",
        value=(seconds["trading"] - seconds["silent"]) / orders * 1e6,
        unit="us",
        floor_name="its intent, outcome and fill as values and rows of the same journal",
        floor=seconds["records"] / orders * 1e6,
    )


def _record_all(orders: int) -> float:
    """Seconds to make the records of so many orders and to write them, a batch at a time."""
    price, quantity, fee = Decimal("60000.12"), Decimal("0.00166"), Decimal("0.0996")
    file = JournalFile.open(None, in_passing)
    begun = time.perf_counter()
    for first in range(0, orders, 300):
        entries: list[Entry] = []
        for seq in range(first, min(first + 300, orders)):
            client_id = f"levi-0-{seq:x}-0"
            order = Order(client_id=client_id, symbol="BTCUSDT", side=Side.BUY, quantity=quantity)
            fill = Fill(
                client_id=client_id,
                symbol="BTCUSDT",
                side=Side.BUY,
                price=price,
                quantity=quantity,
                fee=fee,
                fee_asset="USDT",
                time_ms=_START_MS,
                venue="paper",
            )
            entries += (
                IntentEntry(
                    seq=seq,
                    order=order,
                    incarnation=1,
                    reason="signal",
                    wall_ms=_START_MS,
                    market_ms=_START_MS,
                ),
                OutcomeEntry(
                    client_id=client_id,
                    status=OrderStatus.FILLED,
                    fills=(fill,),
                    wall_ms=_START_MS,
                ),
            )
        file.write([rows_of_all(entries)])
    taken = time.perf_counter() - begun
    file.close()
    return taken


def _beside_decoding(config: FleetConfig, path: Path, text: str, goal: Goal | None) -> Row:
    replay = replay_all(config, path)[1]
    orders, trades = (
        len(replay.replay_journal.orders),
        sum(p.trades for p in replay.engine_runs.values()),
    )
    seconds = medians(
        {"bare": partial(decode_all, path), "replay": lambda: replay_all(config, path)[0]}, 5
    )
    return Row(
        name=f"replay, {ENGINES} engines: {text} ({trades:,} trades, {orders:,} orders)",
        value=LINES / seconds["replay"],
        unit="lines/s",
        floor_name="bare msgspec decode loop over the same file",
        floor=LINES / seconds["bare"],
        goal=goal,
    )
