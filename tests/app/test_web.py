"""A whole fleet behind the page: documents, metrics, readiness, and what is missing."""

from importlib.util import find_spec
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
import trio
from trio.testing import MockClock

from levitrio.app import web
from levitrio.app.web import WebOperations, open_web
from levitrio.config.sections import HttpSection
from levitrio.control.answers import (
    EquityCurve,
    Incident,
    LoopLateness,
    PriceCurve,
    RiskStatus,
)
from levitrio.control.status_document import EngineStatus, FleetStatus, ModelsStatus
from levitrio.errors import ControlError, UsageError
from levitrio.records.metrics.process_stats import ProcessUsage
from tests.app.conftest import POISON
from tests.app.virtual import VirtualFleet, running_fleet, write_fleet

pytestmark = [
    pytest.mark.usefixtures("own_strategies"),
    pytest.mark.skipif(find_spec("starlette") is None, reason="needs the extra http"),
    pytest.mark.skipif(find_spec("prometheus_client") is None, reason="needs the extra http"),
]


def operations(fleet: VirtualFleet) -> WebOperations:
    return WebOperations(assembly=fleet.assembly, end=fleet.run.end)


async def test_the_document_is_head_and_rows(autojump_clock: MockClock, tmp_path: Path) -> None:
    """The summary with every engine's row, and figures of the process in it."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(10)
        document = await fleet.document()
        rows = document.pop("engines")
        assert document == fleet.operations.summary()
        assert rows == [operations(fleet).row(symbol) for symbol in fleet.operations.symbols()]
        assert (document["process"]["memory_bytes"] or 0) > 0
        assert document["drawdown"].startswith("0")


async def test_documents_have_their_declared_types(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Each document has the members of its type, in their order, with values that fit."""
    async with running_fleet(write_fleet(tmp_path, engines={"SOLUSDT": POISON})) as fleet:
        await trio.sleep(60)
        page = operations(fleet)
        status = await fleet.document()
        incidents = await fleet.operations.history("SOLUSDT", 3)
        assert status["engines"]
        assert incidents
        for document, kind in (
            (status, FleetStatus),
            (status["engines"][0], EngineStatus),
            (status["process"], ProcessUsage),
            (status["models"], ModelsStatus),
            (incidents[0], Incident),
            (fleet.operations.risk(), RiskStatus),
            (page.equity_curve(), EquityCurve),
            (page.price_curve("BTCUSDT"), PriceCurve),
            (page.lateness(), LoopLateness),
        ):
            assert list(document) == list(get_type_hints(kind)), kind
            msgspec.convert(msgspec.to_builtins(document), kind)


async def test_metrics(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Prometheus text with the fleet, its engines, incidents, machinery and the process in it."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": POISON})
    async with running_fleet(config) as fleet:
        await trio.sleep(300)
        text = await fleet.operations.metrics()
    lines = text.splitlines()
    for line in (
        'levitrio_engines{state="running"} 2.0',
        'levitrio_engines{state="failed"} 1.0',
        'levitrio_trading_state{state="active"} 1.0',
        'levitrio_engine_up{symbol="SOLUSDT"} 0.0',
        'levitrio_engine_up{symbol="BTCUSDT"} 1.0',
        'levitrio_engine_as_wanted{symbol="SOLUSDT"} 0.0',
        'levitrio_incidents_total{cause="crash",symbol="SOLUSDT"} 4.0',
        "levitrio_journal_failed 0.0",
        "levitrio_feed_connections 1.0",
    ):
        assert line in lines
    for name in (
        "levitrio_equity",
        "levitrio_engine_ticks_total",
        "levitrio_inbox_depth",
        "levitrio_inbox_undelivered_total",
        "levitrio_loop_lateness_seconds_bucket",
        "levitrio_order_latency_seconds_count",
        "levitrio_snapshots_last_write_seconds",
        "process_resident_memory_bytes",
    ):
        assert any(line.startswith(name) for line in lines), name


async def test_metrics_without_the_extra(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says what to install."""
    monkeypatch.setattr("levitrio.app.status.metrics.find_spec", lambda _: None)
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        with pytest.raises(ControlError) as caught:
            await fleet.operations.metrics()
    assert caught.value.hint == "pip install 'levitrio[http]'"


async def test_readiness(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Only once the feed is connected and every engine has started."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        assert operations(fleet).readiness()
        await trio.sleep(10)
        assert operations(fleet).readiness() == ""


def test_page_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """`[http]` without its packages: said before anything starts, with the command."""
    monkeypatch.setattr(web, "find_spec", lambda name: None if name == "hypercorn" else name)
    with pytest.raises(UsageError, match=r"needs hypercorn: pip install 'levitrio\[http\]'"):
        open_web(HttpSection())


def test_open_web(tmp_path: Path) -> None:
    """The address is bound and the token read; the block's end closes the socket."""
    token = tmp_path / "token"
    token.write_text("a-token-of-more-than-sixteen\n")
    token.chmod(0o600)
    with open_web(HttpSection(bind="127.0.0.1:0", token_file=token)) as page:
        port = page.listener.getsockname()[1]
        assert page.url == f"http://127.0.0.1:{port}/"
        assert page.access.token == "a-token-of-more-than-sixteen"
    with pytest.raises(UsageError, match="token_file"):
        open_web(HttpSection(bind="127.0.0.1:0", token_file=tmp_path / "missing"))
