"""Models as files: what is refused, and that nothing of it is run."""

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.inference.models.feature_schema import CANDLES, MARKET
from levitrio.inference.models.model_file import (
    INTERVAL_NOTE,
    SCHEMA_NOTE,
    ModelReference,
    ModelRefused,
    read_model,
    shipped_names,
)
from levitrio.inference.models.onnx_metadata import metadata_of
from tests.inference.model_files import noted, pretended_onnx, write_model


def reference(folder: Path, content: bytes, name: str = "m.onnx") -> ModelReference:
    return ModelReference(model=name, sha256=write_model(folder, content, name))


def test_a_model_is_read_with_its_notes(tmp_path: Path) -> None:
    """Schema and interval come from the file itself."""
    content = pretended_onnx(MARKET, "5m")
    file = read_model(reference(tmp_path, content), tmp_path)
    assert (file.schema, file.interval, file.content) == (MARKET, "5m", content)
    assert file.key == hashlib.sha256(content).hexdigest()


def test_a_lightgbm_text_is_read_with_its_notes(tmp_path: Path) -> None:
    """They stand in lines at its end."""
    text = f"tree\nversion=v4\n\n{SCHEMA_NOTE}:{CANDLES.hash}\n{INTERVAL_NOTE}:1h\n".encode()
    file = read_model(reference(tmp_path, text, "m.txt"), tmp_path)
    assert (file.format, file.schema, file.interval) == ("lightgbm", CANDLES, "1h")


def test_another_hash_is_refused(tmp_path: Path) -> None:
    """The file is not the one that was looked at."""
    named = reference(tmp_path, pretended_onnx())
    write_model(tmp_path, pretended_onnx(MARKET))
    with pytest.raises(ModelRefused, match="expected sha256"):
        read_model(named, tmp_path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """A model that was trained on other features would get wrong inputs."""
    content = noted([(SCHEMA_NOTE, "f" * 64)])
    with pytest.raises(ModelRefused, match="feature schema"):
        read_model(reference(tmp_path, content), tmp_path)
    with pytest.raises(ModelRefused, match="a model without one"):
        read_model(reference(tmp_path, noted([])), tmp_path)


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".PKL", ".pt"])
def test_formats_that_can_run_code_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    """They are not even opened."""
    with pytest.raises(ModelRefused, match="can run code"):
        read_model(ModelReference(model=f"m{suffix}", sha256="0" * 64), tmp_path)


class _Canary:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch canary",)


def test_a_pickle_in_disguise_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .joblib renamed .onnx is an ONNX file that makes no sense, and nothing else."""
    monkeypatch.chdir(tmp_path)
    for name in ("m.onnx", "m.txt"):
        with pytest.raises(ModelRefused):
            read_model(reference(tmp_path, pickle.dumps(_Canary()), name), tmp_path)
    assert not (tmp_path / "canary").exists()


def test_a_path_needs_its_hash(tmp_path: Path) -> None:
    """Write access to the file does not let its content run."""
    with pytest.raises(ModelRefused, match="its sha256"):
        read_model(ModelReference(model="m.onnx"), tmp_path)
    with pytest.raises(ModelRefused, match="64 hex digits"):
        read_model(ModelReference(model="m.onnx", sha256="abc"), tmp_path)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """A pipe would hold up the start for ever, a sparse giant would fill the memory."""
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with (tmp_path / "giant.onnx").open("wb") as giant:
        giant.truncate(10 * 2**30)
    for name in ("pipe.onnx", "folder.onnx", "giant.onnx", "none.onnx"):
        with pytest.raises(ModelRefused):
            read_model(ModelReference(model=name, sha256="0" * 64), tmp_path)


def test_what_was_hashed_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is opened once: to swap it after the hash changes nothing."""
    named = reference(tmp_path, pretended_onnx())
    opened = []
    really_open = os.open

    def count(path: str, flags: int) -> int:
        opened.append(path)
        return really_open(path, flags)

    monkeypatch.setattr(os, "open", count)
    file = read_model(named, tmp_path)
    write_model(tmp_path, b"something else")
    assert len(opened) == 1
    assert file.content == pretended_onnx()


def test_shipped_models_are_sound() -> None:
    """Each has a card with its hash and the schema of this version."""
    assert shipped_names() == ["simulator"]
    for name in shipped_names():
        file = read_model(ModelReference(model=name), Path("/nowhere"))
        assert file.schema == MARKET
        assert len(file.content) < 10_000


def test_an_unknown_shipped_model_is_named() -> None:
    """With those that there are."""
    with pytest.raises(ModelRefused, match="one of simulator, got 'oracle'"):
        read_model(ModelReference(model="oracle"), Path())


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """The walk over an unknown file ends, and raises nothing but ValueError."""
    with suppress(ValueError):
        metadata_of(content)


def test_a_torn_model_is_refused_at_every_byte() -> None:
    """Its notes end before they say what they must."""
    content = pretended_onnx()
    for end in range(len(content)):
        try:
            notes = metadata_of(content[:end])
        except ValueError:
            continue
        assert INTERVAL_NOTE not in notes
