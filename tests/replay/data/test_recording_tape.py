"""Recordings as a tape: what is read, what is passed over, what is refused."""

import gzip
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from levitrio.errors import UsageError
from levitrio.replay.data.recording_tape import RecordingTape
from levitrio.replay.data.trade_blocks import TradeBlocks
from levitrio.trading.market import Bar, MarketEvent, Trade
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.validation import POSITIVE
from levitrio.venues.recordings.writer import RecordingWriter
from levitrio.venues.simulator.market.recorded_tape import RecordedTape
from tests.replay.files import DATA, START_MS, quote_line, trade_line, write_lines

real_data = pytest.mark.skipif(
    not DATA.exists(), reason="the shared recordings are not beside the checkout"
)


def trades_in(tape: RecordingTape) -> list[int]:
    return [event.trade_id for event in tape if isinstance(event, Trade)]


def test_what_is_torn_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    """Garbage, absurd prices and repeated trades cost no other line."""
    good = [trade_line(100, at=n, number=n) for n in range(5)]
    lines = [
        good[0],
        "garbage",
        good[1],
        trade_line("-1", at=1, number=77),
        trade_line("nan", at=1, number=78),
        good[1],
        '1790000000000000000 {"lastUpdateId":1,"bids":[]}',
        good[2][:80],
        good[3].replace('"stream":', '"stream": '),
        good[4] + "\r",
    ]
    refused: list[str] = []
    path = write_lines(tmp_path / "r.gz", lines)
    tape = RecordingTape([path], ["BTCUSDT"], ["1m"], on_refused=refused.append)
    assert trades_in(tape) == [0, 1, 3, 4]
    assert (tape.refused, tape.repeated) == (4, 1)
    assert len(refused) == 4
    assert tape.notes()[0] == "4 lines or frames were refused"


def test_other_streams_are_passed_over(tmp_path: Path) -> None:
    """Depth frames and symbols that are not of the fleet are neither read nor refused."""
    lines = [
        trade_line(100, at=1, number=1, symbol="DOGEUSDT"),
        quote_line(1, 2, at=1),
        f'{START_MS}000000 {{"stream":"btcusdt@depth@100ms","data":{{"b":[["1","1"]]}}}}',
        trade_line(100, at=2, number=2),
    ]
    tape = RecordingTape([write_lines(tmp_path / "r", lines)], ["BTCUSDT"], [])
    assert trades_in(tape) == [2]
    assert (tape.refused, tape.lines) == (0, 4)


def test_files_are_merged_by_their_local_time(tmp_path: Path) -> None:
    """Each keeps its own order, also where its clock stepped back."""
    one = [trade_line(1, at=at, number=n) for n, at in enumerate((10, 30, 20, 50))]
    two = [trade_line(1, at=at, number=n + 9, symbol="ETHUSDT") for n, at in enumerate((15, 40))]
    paths = [write_lines(tmp_path / "1", one), write_lines(tmp_path / "2.gz", two)]
    tape = RecordingTape(paths, ["BTCUSDT", "ETHUSDT"], [])
    assert trades_in(tape) == [0, 9, 1, 2, 10, 3]


def test_a_torn_gzip_ends_the_file(tmp_path: Path) -> None:
    """What was read before is played; that more was expected is told."""
    whole = write_lines(
        tmp_path / "r.gz", (trade_line(n % 97 + 1, at=n, number=n) for n in range(40_000))
    )
    path = tmp_path / "torn.gz"
    path.write_bytes(whole.read_bytes()[:200_000])
    refused: list[str] = []
    tape = RecordingTape([path], ["BTCUSDT"], [], on_refused=refused.append)
    assert len(trades_in(tape)) > 1_000
    assert any("expected more of the file" in problem for problem in refused)


def test_the_file_of_a_killed_recorder(tmp_path: Path) -> None:
    """However little was written before `kill -9`, all of it is read: torn at every byte."""
    path = tmp_path / "r.gz"
    recorder = RecordingWriter(path, clock_ns=lambda: START_MS * 1_000_000)
    for number in (1, 2):
        recorder.take(trade_line(100, at=number, number=number).partition(" ")[2])
        recorder._write(recorder._take_batch())
    written = path.read_bytes()
    recorder.close()
    counts = []
    for length in range(20, len(written) + 1):
        path.write_bytes(written[:length])
        try:
            counts.append(len(trades_in(RecordingTape([path], ["BTCUSDT"], []))))
        except UsageError:  # not a line of it is there
            counts.append(0)
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    """A missing file and one without a frame, before anything is played."""
    with pytest.raises(UsageError, match="found none"):
        RecordingTape([tmp_path / "no"], ["BTCUSDT"], [])
    with pytest.raises(UsageError, match="found not one"):
        RecordingTape([write_lines(tmp_path / "x", ["a", "b"])], ["BTCUSDT"], [])


@real_data
def test_events_equal_those_of_the_simulator() -> None:
    """Trades and bars, bit for bit and in the same order, as the simulator would send them."""
    path = DATA / "hftbacktest" / "btcusdt_20240808.gz"
    replayed = list(RecordingTape([path], ["BTCUSDT"], ["1m", "1s"]))
    simulated: list[MarketEvent] = []
    tape = RecordedTape([path], lambda _: None)
    decoder = FrameDecoder()
    for stream in ("trade", "kline_1m", "kline_1s"):
        tape.subscribe(decoder.add("BTCUSDT", stream))
    while (step := tape.step()) is not None:
        found = (decoder.decode(event.combined().decode()) for event in step)
        simulated += [event for event in found if isinstance(event, Trade | Bar)]
    assert len([event for event in replayed if isinstance(event, Bar)]) > 300
    # The simulator closes nothing after the last frame but what its last step brings.
    assert replayed[: len(simulated)] == simulated


@real_data
def test_memory_is_flat(tmp_path: Path) -> None:
    """A file ten times as long is read in blocks of the same size."""
    with gzip.open(DATA / "hftbacktest" / "btcusdt_20240808.gz", "rt") as file:
        text = "".join(line for line in file if "@depth" not in line)
    peaks = []
    for times in (1, 4):
        path = tmp_path / f"{times}.jsonl"
        path.write_text(text * times)
        tape = RecordingTape([path], ["BTCUSDT"], ["1m"])
        tracemalloc.start()
        for _ in tape:
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2 + 100_000


_AMOUNTS = st.one_of(
    st.from_regex(re.compile(r"[0-9]{1,22}(\.[0-9]{0,22})?"), fullmatch=True),
    st.sampled_from(
        ["0", "0.00", "1e5", "nan", "-1", " 1", "1_0", "", "٣", "1\n2", "1.0", "inf", "0x1"]
    ),
)


@given(st.lists(st.tuples(_AMOUNTS, _AMOUNTS), min_size=1, max_size=5))
def test_a_block_of_trades_is_checked_as_each_of_them_is(
    amounts: list[tuple[str, str]],
) -> None:
    """Faster, and not one amount more or less is believed."""
    trades = [
        Trade.of("BTCUSDT", price, quantity, time=1_700_000_000_000, trade_id=number)
        for number, (price, quantity) in enumerate(amounts)
    ]
    decoder = FrameDecoder()
    decoder.add("BTCUSDT", "trade")
    blocks = TradeBlocks(decoder)
    payloads = [encode(trade).decode() for trade in trades]
    lines = [f'{0:019} {{"stream":"btcusdt@trade","data":{each}}}' for each in payloads]
    sound = [all(POSITIVE.fullmatch(text) for text in pair) for pair in amounts]
    found = blocks(payloads, ["BTCUSDT"] * len(trades), lambda: lines)
    assert [trade is not None for trade in found] == sound


def test_a_damaged_time_before_a_sound_frame(tmp_path: Path) -> None:
    """The frame is played at the time of the line before it."""
    lines = [trade_line(100, at=n, number=n) for n in range(2)]
    lines[1] = "x" * 19 + lines[1][19:]
    tape = RecordingTape([write_lines(tmp_path / "r", lines)], ["BTCUSDT"], [])
    times = [tape.now_ns() for _ in tape]
    assert times == [START_MS * 1_000_000] * 2
