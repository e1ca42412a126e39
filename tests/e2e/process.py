"""A real `levi run` in a process of its own, with its own home and data."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import attrs

PATIENCE = 20.0
"""Seconds a test waits for something that takes a fraction of one on a quiet machine."""

LEVI = (sys.executable, "-m", "levitrio.cli.main")


@attrs.define(eq=False)
class FleetProcess:
    """Start with `with`; killed at the end of the block if it still runs."""

    home: Path
    file: Path
    arguments: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    """A program that runs it: what its `exec` replaces is the process that is signalled."""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LEVI_")}
        return {**kept, "HOME": str(self.home)}

    @property
    def output(self) -> str:
        return (self.home / "out.txt").read_text()

    def start(self) -> Self:
        with (self.home / "out.txt").open("ab") as out:
            self.process = subprocess.Popen(
                [*self.under, *LEVI, "run", str(self.file), *self.arguments],
                cwd=self.file.parent,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def ctl(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`levi ctl ...` from a second shell."""
        return subprocess.run(
            [*LEVI, "ctl", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """The status document, or the one that says that no fleet answers."""
        document = json.loads(self.ctl("status", "--json").stdout)
        assert isinstance(document, dict)
        return document

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["symbol"]: row for row in self.status().get("engines", [])}

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll the status until the condition holds; fails with the last one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            document = self.status()
            if document["reachable"] and condition(document):
                return document
            assert time.monotonic() < deadline, (document, self.output[-2000:])
            time.sleep(0.1)


def all_running(document: dict[str, Any]) -> bool:
    return bool(document["running"] == document["total"])


def row_of(document: dict[str, Any], symbol: str) -> dict[str, Any]:
    """One engine's row."""
    found = next(row for row in document["engines"] if row["symbol"] == symbol)
    assert isinstance(found, dict)
    return found
