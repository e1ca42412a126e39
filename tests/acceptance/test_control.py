"""The control socket of a real fleet under generated frames, stalled clients, and commands."""

import json
import os
import random
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from levitrio.control.methods import METHODS as METHOD_TABLE
from levitrio.control.params import Selection
from tests.acceptance.pages import EXAMPLE
from tests.e2e.process import LEVI, FleetProcess

FRAMES = 50_000
AT_ONCE = 40
"""Frames on one connection: the sound ones and a ping, then the mutants and a ping."""
HANG = 1.0
"""Seconds."""
GROWTH = 10 * 2**20
"""Bytes."""
STALLED = 1_000

METHODS = (
    *("ping", "status", "risk", "history", "events.subscribe", "rpc.discover", "pause", "resume"),
    *("start", "restart", "halt", "unhalt", "flatten", "reset", "no.such", "__class__", "", "stop"),
)
VALUES = (
    *(
        '"SOLUSDT"',
        '["SOLUSDT"]',
        '["SOL*"]',
        '["../../etc/passwd"]',
        "true",
        "null",
        "-1",
        "1e999",
    ),
    *(
        "NaN",
        "{}",
        "[]",
        '"\\ud800"',
        "9" * 400,
        '"\\u001b[2J"',
        "[[[[]]]]",
        '{"a":1,"a":2}',
        "0.5",
    ),
)
NAMES = ("symbols", "symbol", "all", "summary", "limit", "since", "timeout", "reason", "wait", "x")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetProcess]:
    """The fifteen engines of the example."""
    folder = tmp_path_factory.mktemp("control")
    file = folder / "fleet.toml"
    text = EXAMPLE.replace('data_dir = "../data"', 'data_dir = "data"')
    file.write_text(text + '[control]\nsocket = "ctl/s"\n')
    with FleetProcess(folder, file) as process:
        deadline = time.monotonic() + 40
        while process.ctl("--socket", socket_of(process), "status").returncode != 0:
            assert time.monotonic() < deadline, process.output[-3000:]
            time.sleep(0.2)
        yield process


def socket_of(fleet: FleetProcess) -> str:
    return str(fleet.file.parent / "ctl" / "s")


def connect(fleet: FleetProcess) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(socket_of(fleet))  # blocking: one with a timeout is refused by a full queue
    client.settimeout(20)
    return client


def memory_of(fleet: FleetProcess) -> int:
    assert fleet.process is not None
    statm = Path(f"/proc/{fleet.process.pid}/statm").read_text().split()
    return int(statm[1]) * os.sysconf("SC_PAGE_SIZE")


def make_frame(chance: random.Random, number: int) -> tuple[bytes, bool]:
    """A line, and whether it is a request whose id must come back."""
    params = ",".join(
        f'"{chance.choice(NAMES)}":{chance.choice(VALUES)}' for _ in range(chance.randrange(3))
    )
    # None of these waits for anything: that would be a hang by request.
    params = params.replace('"wait":true', '"wait":false')
    text = f'{{"jsonrpc":"2.0","id":{number},"method":"{chance.choice(METHODS)}"'
    line = bytearray((text + f',"params":{{{params}}}}}').encode())
    if chance.random() < 0.5:
        sound = not any(bad in params for bad in ("1e999", "NaN", "\\ud800", "9" * 400))
        return bytes(line), sound
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(line))
        match chance.randrange(4):
            case 0:
                line[place] = chance.randrange(256)
            case 1:
                del line[place : place + chance.randrange(1, 9)]
            case 2:
                line[place:place] = chance.choice((b"[", b"{", b'"', b"\\", b"\x00", b"\xff", b","))
            case _:
                line[place:place] = line[: chance.randrange(len(line))]
        line = line or bytearray(b"{")
    return bytes(line), False


def ask(client: socket.socket, lines: list[bytes], awaited: set[int | str]) -> bool:
    """Send lines and a ping; returns once all these ids came back, False after a hang-up."""
    ping = b'{"jsonrpc":"2.0","id":"ping","method":"ping"}\n'
    client.sendall(b"\n".join([*lines, ping]))
    missing = awaited | {"ping"}
    with client.makefile("rb") as answers:
        for line in answers:
            answer = json.loads(line)
            missing -= {each.get("id") for each in (answer if type(answer) is list else [answer])}
            if not missing:
                return True
    return False


def test_generated_frames(fleet: FleetProcess) -> None:
    """Every request is answered by its id, nothing hangs, nothing grows."""
    chance = random.Random(7)
    sent, hung_up, slowest, before = 0, 0, 0.0, 0
    while sent < FRAMES:
        frames = [make_frame(chance, sent + index) for index in range(AT_ONCE)]
        sound = [line for line, is_sound in frames if is_sound]
        mutants = [line.replace(b"\n", b" ") for line, is_sound in frames if not is_sound]
        with connect(fleet) as client:
            begun = time.monotonic()
            assert ask(client, sound, {json.loads(line)["id"] for line in sound})
            try:
                hung_up += not ask(client, mutants, set())  # rightly, when it was no JSON at all
            except (BrokenPipeError, ConnectionResetError):
                hung_up += 1
            slowest = max(slowest, time.monotonic() - begun)
        sent += AT_ONCE
        if sent == FRAMES // 10:
            before = memory_of(fleet)
    growth = memory_of(fleet) - before
    print(
        f"{sent} frames, {hung_up} hang-ups, slowest {AT_ONCE} took {slowest:.2f} s, "
        f"grew {growth / 2**20:.1f} MiB"
    )
    assert slowest < HANG
    assert growth < GROWTH
    assert fleet.ctl("--socket", socket_of(fleet), "status", "--json").returncode in (0, 3)


def test_a_stop_beside_a_thousand_stalled_clients(fleet: FleetProcess) -> None:
    """They are there, silent or in the middle of a line; an operator is heard all the same."""
    stalled = []
    try:
        for number in range(STALLED):
            client = connect(fleet)
            stalled.append(client)
            with suppress(OSError):  # turned away already
                client.sendall((b"", b'{"jsonrpc":', b"[")[number % 3])
        begun = time.monotonic()
        with connect(fleet) as client:
            request = {"jsonrpc": "2.0", "id": 1, "method": "stop"}
            line = json.dumps({**request, "params": {"symbols": ["SOLUSDT"]}}).encode()
            client.sendall(line + b"\n")
            answer = json.loads(client.makefile("rb").readline())
        took = time.monotonic() - begun
        begun = time.monotonic()
        command = fleet.ctl("--socket", socket_of(fleet), "stop", "ETHUSDT")
        print(f"stop took {took * 1e3:.0f} ms, levi ctl stop {time.monotonic() - begun:.2f} s")
    finally:
        for client in stalled:
            client.close()
    assert answer["result"]["ok"] is True
    assert took < HANG
    assert command.returncode == 0, command.stderr
    with connect(fleet) as client:
        client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"start","params":{"all":true}}\n')
        client.makefile("rb").readline()


def test_every_command_is_journaled_with_who_gave_it(fleet: FleetProcess) -> None:
    """Process and user of each call that changes something, as the kernel knows them.

    Which those are is read off the table of methods; ends the fleet, so it comes last here.
    """
    calls = [
        f"{name} SOLUSDT" if issubclass(method.params, Selection) else name
        for name, method in sorted(METHOD_TABLE.items(), key=lambda row: row[0] == "shutdown")
        if method.changes
    ]
    pids = []
    for call in calls:
        words = [*LEVI, "ctl", "--socket", socket_of(fleet), *call.split()]
        with subprocess.Popen(words, env=fleet.environ, stdout=subprocess.DEVNULL) as command:
            pids.append(command.pid)
        assert command.returncode == 0, call
    assert fleet.wait() == 0
    journal = fleet.file.parent / "data" / "journal.db"
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reading:
        found = reading.execute("SELECT method, pid, uid FROM commands").fetchall()
    expected = {(call.split()[0], pid, os.getuid()) for call, pid in zip(calls, pids, strict=True)}
    assert expected <= set(found)
