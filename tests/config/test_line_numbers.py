"""Lines of keys, held against tomllib and against documents whose lines are known."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.config.diagnostics import KeyPath
from levitrio.config.line_numbers import locate

KNOWN: list[tuple[str, dict[KeyPath, int]]] = [
    ("a = 1\nb = 2\n", {("a",): 1, ("b",): 2}),
    ("\n# c\n[t]\nk = 1", {("t",): 3, ("t", "k"): 4}),
    ("[a.b]\nc.d = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "b", "c", "d"): 2}),
    ('["x.y"]\n"k z" = 1\n\'q"\' = 2', {("x.y",): 1, ("x.y", "k z"): 2, ("x.y", 'q"'): 3}),
    ('[engines."BTC/USDT"]\n\ninbox=1', {("engines", "BTC/USDT", "inbox"): 3}),
    ('"\\u0061" = 1', {("a",): 1}),
    ('a = """\n[b]\nc = 1 \\""" \n"""\nd = 2', {("a",): 1, ("d",): 5}),
    ('a = """x"""""\nd = 2', {("d",): 2}),
    ("a = ''''x'''''\nd = 2", {("d",): 2}),
    ("a = '''\nb = 1'''\nd = 2", {("a",): 1, ("d",): 3}),
    ("a = ''\nb = \"\"\nd = '\\'\ne = 1", {("b",): 2, ("d",): 3, ("e",): 4}),
    ('a = "x # no"  # yes\nb = 1', {("b",): 2}),
    ("a = [\n 1, # one\n 2,\n]\nb = 1", {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("b",): 5}),
    ('a = ["]", "[",\n"#"]\nb = 1', {("a", 1): 1, ("a", 2): 2, ("b",): 3}),
    ("a = [[1],\n[2, 3]]\nb = 1", {("a", 0, 0): 1, ("a", 1): 2, ("a", 1, 1): 2, ("b",): 3}),
    ("a = []\nb = {}\nc = 1", {("a",): 1, ("b",): 2, ("c",): 3}),
    ("a = {b = 1, c.d = [\n2]}\ne = 1", {("a", "b"): 1, ("a", "c", "d", 0): 2, ("e",): 3}),
    ("a = [{b = 1},\n{b = 2}]", {("a", 0, "b"): 1, ("a", 1, "b"): 2}),
    ("[[t]]\na = 1\n[[t]]\na = 2\n[t.u]\nb = 3", {("t", 0, "a"): 2, ("t", 1, "a"): 4}),
    ("[[t]]\n[[t.u]]\n[[t.u]]\nb = 3", {("t", 0, "u", 1, "b"): 4}),
    ("a = 1979-05-27 07:32:00\nb = 1", {("b",): 2}),
    ("a = 1\r\nb = 2\r\n", {("a",): 1, ("b",): 2}),
    ("# only a comment", {}),
    ("", {}),
]


@pytest.mark.parametrize(("text", "lines"), KNOWN)
def test_known_lines(text: str, lines: dict[KeyPath, int]) -> None:
    """Every form of key and value that TOML has is on the line it is written on."""
    found = locate(text)
    assert {path: found.get(path) for path in lines} == lines
    assert set(paths_of(tomllib.loads(text))) <= set(found)


def test_depth_costs_no_recursion() -> None:
    """An array nested deeper than Python recurses is located all the same."""
    found = locate("a = " + "[" * 3000 + "]" * 3000 + "\nb = 1")
    assert found[("b",)] == 2


def paths_of(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of every key and item that tomllib found."""
    if path:
        yield path
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield from paths_of(inner, (*path, key))


def basic(text: str) -> str:
    """A text as a TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


names = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
scalars = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.booleans().map(lambda b: str(b).lower()),
    st.sampled_from(
        [
            "1.5",
            "inf",
            "1979-05-27",
            "07:32:00",
            "'its'",
            '"""\n"\n"""',
            "'''\n'''",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(basic),
)
gaps = st.sampled_from(["", " ", "\n", " # [x] = {\n", "\r\n\t"])


def written(name: str) -> str:
    """A name as a TOML key."""
    is_bare = name != "" and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    return name if is_bare else basic(name)


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Arrays over several lines, with comments."""
    items = st.lists(st.tuples(gaps, values, gaps), max_size=3)
    return items.map(lambda items: "[" + ",".join(a + v + b for a, v, b in items) + "]")


def inline_tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Inline tables with keys of every form."""
    return st.dictionaries(names, values, max_size=3).map(
        lambda table: "{" + ", ".join(f"{written(k)} = {v}" for k, v in table.items()) + "}"
    )


values = st.recursive(scalars, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=6)
tables = st.dictionaries(names, values, max_size=3)


@given(st.dictionaries(names, tables, max_size=4), st.booleans())
def test_every_key_of_tomllib_has_its_line(
    document: dict[str, dict[str, str]], in_arrays: bool
) -> None:
    """Every path tomllib sees has a line; keys and headers have exactly their own."""
    text, expected = "# first\n", {}
    for name, table in document.items():
        path: KeyPath = (name, 0) if in_arrays else (name,)
        expected[path] = text.count("\n") + 1
        text += f"[[{written(name)}]]\n" if in_arrays else f"[ {written(name)} ]  # header\n"
        for key, value in table.items():
            expected[(*path, key)] = text.count("\n") + 1
            text += f"{written(key)} = {value}  # '''\n"
    found = locate(text)
    assert {path: found.get(path) for path in expected} == expected
    for path in paths_of(tomllib.loads(text)):
        assert 1 <= found[path] <= text.count("\n") + 1
