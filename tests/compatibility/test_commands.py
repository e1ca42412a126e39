"""Commands, options and settings are those of 8b022be."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility.documents import of_commands
from tests.compatibility.surface import ROOT, levi, load, without_prose


@pytest.mark.slow
@pytest.mark.long
def test_commands_and_their_options(home: Path) -> None:
    """What help lists, but for its prose: commands, arguments, options, defaults and limits."""
    now, recorded = of_commands(home), load("commands.json")
    assert now.keys() == recorded.keys()
    changed = {words: says for words, says in now.items() if says != recorded[words]}
    assert not changed, json.dumps(changed, indent=1)


def test_settings_of_fleet_toml() -> None:
    """The schema without its prose: sections, keys, types, limits and defaults.

    The test of the schema itself holds that the file in config/ is what the code accepts.
    """
    schema: Any = json.loads((ROOT / "config" / "fleet.schema.json").read_text())
    assert without_prose(schema) == load("fleet_toml.json")


def test_every_setting_is_accepted_at_its_default(home: Path) -> None:
    """`levi check` takes a file that spells every default of the recorded schema out."""
    sections = load("fleet_toml.json")["properties"]
    lines = []
    for section, schema in sections.items():
        if section in {"engines", "groups", "http", "alerts"}:
            continue
        lines.append(f"[{section}]")
        for key, setting in schema["properties"].items():
            if "default" in setting:
                lines.append(f"{key} = {json.dumps(setting['default'])}")
    lines += ["[http]", 'bind = "127.0.0.1:8787"', "[engines.BTCUSDT]", 'group = "a"']
    lines += ["[groups.a]", 'restart = "one_for_one"']
    (home / "fleet.toml").write_text("\n".join(lines) + "\n")
    done = levi("check", "fleet.toml", home=home, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
