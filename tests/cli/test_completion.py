"""Tab completion as the shells ask for it."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from levitrio.control.protocol import printable
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
]

SYMBOLS = ("BTCUSDT", "SOLUSDT", "SUIUSDT", "X\x1b[2JUSDT")


@pytest.fixture
def home() -> Iterator[Path]:
    """A HOME with `levi` in its bin/, as an installed package has it."""
    with private_directory() as path:
        run = path / ".local/state/levitrio/run"
        run.mkdir(parents=True, mode=0o700)
        program = path / "bin" / "levi"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m levitrio.cli.main "$@"\n')
        program.chmod(0o755)
        yield path


async def run_shell(home: Path, script: str, shell: str = "bash") -> list[str]:
    """Lines of standard output; fails on anything on standard error."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("LEVI_")}
    with trio.fail_after(30):
        found = await trio.run_process(
            [shell, "-c", script],
            capture_stdout=True,
            capture_stderr=True,
            env={**environ, "HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"},
        )
    assert found.stderr == b""
    return found.stdout.decode().splitlines()


def bash(*lines: str) -> str:
    """A script that completes the last word of each line."""
    ask = [
        f"COMP_WORDS=({line}{' ' * line.endswith(' ')}"
        f"{chr(34) * 2 * line.endswith(' ')}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        '_levi_completion levi; echo "${COMPREPLY[*]}"'
        for line in lines
    ]
    return "\n".join(['eval "$(_LEVI_COMPLETE=source_bash levi)"', *ask])


async def test_bash_completes_commands_and_live_symbols(home: Path) -> None:
    """Commands, options, symbols as people begin them; never one that is there already."""
    fleet = FakeFleet(dict.fromkeys(SYMBOLS, "running"))
    place = home / ".local/state/levitrio/run/demo.sock"
    async with serving(fleet, place, Recorder()):
        found = await run_shell(
            home,
            bash("levi ch", "levi ctl rest", "levi ctl stop S", "levi ctl stop solusdt sol s"),
        )
    assert found == ["check", "restart", "SOLUSDT SUIUSDT", "suiusdt"]
    assert printable(SYMBOLS[3]) != SYMBOLS[3]


async def test_without_a_fleet_there_is_silence(home: Path) -> None:
    """Nothing to offer, nothing said."""
    assert await run_shell(home, bash("levi ctl stop S")) == [""]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_the_other_shells_get_scripts(home: Path, shell: str) -> None:
    """That complete `levi`; where the shell is installed it can read its own."""
    script = await run_shell(home, f"_LEVI_COMPLETE=source_{shell} levi", "sh")
    assert any("levi" in line and "complete_" in line for line in script)
    if shutil.which(shell):
        file = home / "script"
        file.write_text("\n".join(script))
        await run_shell(home, f"{shell} -n {file}", "sh")
