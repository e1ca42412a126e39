"""The schema, the shipped files and the documentation say what the classes say."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs
import pytest

from levitrio.config.durations import parse_duration
from levitrio.config.json_schema import descriptions, json_schema
from levitrio.config.loader import load
from levitrio.config.sections import FleetFile
from levitrio.config.structuring import without_none
from levitrio.strategies.catalog import check
from tests.config.files import write
from tests.paths import ROOT

CONFIGS = sorted((ROOT / "config").glob("*.toml"))
FLEET_OF_THE_README = 15


def sections() -> Iterator[tuple[str, type[Any]]]:
    """Each section as it is headed in the documentation, with its class."""
    for field in attrs.fields(FleetFile):
        cls = without_none(field.type)
        if get_origin(cls) is dict:
            yield f"{field.name}.X", get_args(cls)[1]
        else:
            yield field.name, cls


SETTINGS = [
    (section, field)
    for section, cls in sections()
    if section != "engines.X"  # the keys of [defaults]
    for field in attrs.fields(cls)
]


def test_schema_file_is_current() -> None:
    """config/fleet.schema.json is what `python -m levitrio.config.json_schema` prints."""
    assert json.loads((ROOT / "config/fleet.schema.json").read_text()) == json_schema()


def test_every_setting_says_what_it_means() -> None:
    """Each field has a docstring, which editors show."""
    for section, cls in sections():
        says = descriptions(cls)
        assert {field.name for field in attrs.fields(cls)} == set(says), section


@pytest.mark.parametrize(
    ("section", "field"), SETTINGS, ids=[f"{section}.{field.name}" for section, field in SETTINGS]
)
def test_every_setting_is_documented(section: str, field: "attrs.Attribute[Any]") -> None:
    """docs/fleet.md has each key in its section, with its default."""
    text = (ROOT / "docs/fleet.md").read_text()
    part = text.split(f"\n## [{section}]\n")[1].split("\n## ")[0]
    row = re.search(rf"^\| `{field.name}` \| (\S.*?) \| ", part, re.MULTILINE)
    assert row is not None
    assert row.group(1) == documented(field.default)


def documented(default: object) -> str:
    """A default as the documentation writes it."""
    match default:
        case None:
            return "unset"
        case bool():
            return f"`{str(default).lower()}`"
        case Decimal():
            return f"`{default}`"
        case int() | float():
            return f"`{default:g}`"
        case str() | Path():
            return f'`"{default}"`'
        case tuple():
            return f"`{json.dumps(list(default))}`"
    return "`{}`"


def test_documentation_names_no_other_setting() -> None:
    """What the documentation lists exists."""
    text = (ROOT / "docs/fleet.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(listed) == sorted(field.name for _, field in SETTINGS)


@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_shipped_files_load(path: Path) -> None:
    """Each config/*.toml is accepted as it is, and tells editors its schema."""
    config = load(path, check_strategy=check)
    assert config.engines
    assert path.read_text().startswith("#:schema ./fleet.schema.json\n")


def test_example_is_a_fleet_of_fifteen() -> None:
    """The first command of a newcomer needs no network and runs fifteen engines."""
    config = load(ROOT / "config/fleet.toml")
    assert len(config.engines) == FLEET_OF_THE_README
    assert config.fleet.name == "demo"
    assert config.simulator is not None
    assert (config.simulator.seed, config.simulator.speed) == (7, 1.0)
    assert (config.feed.kind, config.broker.kind) == ("simulator", "paper")
    assert {engine.strategy for engine in config.engines.values()} == {
        "ema_cross",
        "breakout",
        "ensemble",
    }


def test_template_loads_with_every_comment_taken_away(tmp_path: Path) -> None:
    """What the template shows commented out is the default, and would be accepted."""
    template = resources.files("levitrio.config").joinpath("template.toml").read_text()
    plain = load(write(tmp_path, template), check_strategy=check)
    full = re.sub(r"^# (\w+ = )", r"\1", template, flags=re.MULTILINE)
    assert full.count("\n# ") < template.count("\n# ")
    assert load(write(tmp_path, full), check_strategy=check) == plain


def test_examples_of_the_documentation_load(tmp_path: Path) -> None:
    """Each TOML block of docs/fleet.md is a fleet."""
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/fleet.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert load(write(tmp_path, block)).engines


def test_pattern_of_durations_is_the_parser_s() -> None:
    """An editor accepts the durations that we accept."""
    schema = json_schema()["properties"]["fleet"]["properties"]["grace"]
    pattern = schema["anyOf"][1]["pattern"]
    for text in ("250ms", "1.5s", "10 m"):
        assert re.search(pattern, text)
        assert parse_duration(text)
    assert not re.search(pattern, "10")
