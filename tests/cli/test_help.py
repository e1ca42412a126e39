"""Help as a newcomer reads it: whole lines, examples that can be typed."""

import re
import shlex
from functools import cache

import pytest

from levitrio.cli.application import COMMAND_MODULES
from levitrio.cli.help_examples import EXAMPLES
from levitrio.cli.main import main

GROUPS = ("", "ctl", "journal", "alerts")


@pytest.fixture
def help_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("COLUMNS", "80")

    @cache
    def ask(command: str) -> str:
        assert main([*command.split(), "--help"]) == 0
        return capsys.readouterr().out

    return ask


def commands_in(text: str) -> list[str]:
    """What a group lists."""
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  (\w+) ", listed, re.MULTILINE)


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_is_said_in_one_whole_line(help_of: object, group: str) -> None:
    """Nothing is cut with dots in a list of commands, not at 80 columns."""
    assert callable(help_of)
    text = help_of(group)
    assert "..." not in text.partition("Commands:\n")[2].partition("\n\n")[0]
    if not group:
        assert commands_in(text) == list(COMMAND_MODULES)


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_can_be_typed(help_of: object, command: str) -> None:
    """Each stands in the help of its command, names it, and only options it has."""
    assert callable(help_of)
    text = help_of(command)
    assert "Examples:" in text
    for example in EXAMPLES[command]:
        assert f"  {example}\n" in text
        words = shlex.split(re.split(r" {3,}| [|]", example)[0])
        assert words[0] == "levi"
        path = words[1:3] if words[1] in GROUPS else words[1:2]
        assert " ".join(path).startswith(command)
        known = help_of(" ".join(path))
        assert f"Usage: levi {' '.join(path)} " in known
        for option in (word for word in words if word.startswith("-")):
            assert re.search(rf"{option}\b", known), (option, example)
