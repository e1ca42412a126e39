"""Tab completion in the real shells, beside a real fleet."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.pages import EXAMPLE
from tests.e2e.process import FleetProcess, all_running

PATIENCE = 20.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The HOME of the fifteen engines, with `levi` in its bin/."""
    file = tmp_path_factory.mktemp("completion") / "fleet.toml"
    file.write_text(EXAMPLE.replace('data_dir = "../data"', 'data_dir = "data"'))
    with tempfile.TemporaryDirectory(prefix="levi-", dir="/tmp") as folder:
        program = Path(folder, "bin", "levi")
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m levitrio.cli.main "$@"\n')
        program.chmod(0o755)
        with FleetProcess(Path(folder), file) as process:
            process.until(all_running)
            yield Path(folder)


def environ(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LEVI_")}
    return {**kept, "HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish(home: Path) -> None:
    """Commands with their help, and live symbols."""
    script = (
        "_LEVI_COMPLETE=source_fish levi | source; "
        'complete -C "levi ctl stop so"; complete -C "levi ctl resu"'
    )
    found = subprocess.run(
        ["fish", "-c", script], env=environ(home), capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    assert found.stdout.split("\n")[:2] == ["solusdt", "resume\tUndo a pause."]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_zsh(home: Path) -> None:
    """A person types, presses Tab, and reads the whole symbol."""
    (home / ".zshrc").write_text(
        'PS1="% "; autoload -Uz compinit; compinit -D\neval "$(_LEVI_COMPLETE=source_zsh levi)"\n'
        "echo ready\n"
    )

    def tmux(*words: str) -> str:
        command = ["tmux", "-L", f"levi-zsh-{os.getpid()}", "-f", "/dev/null", *words]
        found = subprocess.run(
            command, env=environ(home), capture_output=True, text=True, check=False
        )
        return found.stdout

    def until(text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in tmux("capture-pane", "-p"):
            assert time.monotonic() < deadline, tmux("capture-pane", "-p")
            time.sleep(0.05)

    tmux("new-session", "-d", "-x", "80", "-y", "24", "zsh -i")
    try:
        until("ready")
        tmux("send-keys", "levi ctl stop SO", "Tab")
        until("levi ctl stop SOLUSDT")
        tmux("send-keys", "C-u", "levi ctl resu", "Tab")
        until("levi ctl resume")
    finally:
        tmux("kill-server")
