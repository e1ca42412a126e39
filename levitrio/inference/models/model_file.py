"""Reads model files: checks hash, format and schema before any of it is run.

The file is opened once, and the very bytes that were hashed go to the workers. Formats that can
run code (pickle, joblib, and formats that wrap them) are refused by name and by their first bytes.
"""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Literal

import attrs
import msgspec

from levitrio.errors import UsageError
from levitrio.inference.models.feature_schema import BY_HASH, SCHEMAS, FeatureSchema
from levitrio.inference.models.onnx_metadata import metadata_of
from levitrio.regular_file import read_regular, reason_of

Format = Literal["onnx", "lightgbm"]

SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".txt": "lightgbm", ".lgb": "lightgbm"}

_RUNS_CODE = frozenset(
    {".pkl", ".pickle", ".p", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".npy", ".h5"}
)

MAX_BYTES = 256 * 1024 * 1024
"""A model is read into memory, and once more in each worker."""

SCHEMA_NOTE = "levitrio.schema"
"""Key of the schema's hash: metadata of an ONNX file, a line of a LightGBM text."""
INTERVAL_NOTE = "levitrio.interval"
"""Key of the interval of the bars it was trained on, such as `1m`."""


class ModelRefused(UsageError):
    """A model differs from fleet.toml or is not safe to load. None of it was run."""


@attrs.frozen(kw_only=True)
class ModelReference:
    """A model as fleet.toml names it."""

    model: str
    """A path relative to fleet.toml, or the name of a model that ships with the package."""
    sha256: str = ""
    """64 hex digits; only a shipped model may leave it out."""

    @property
    def is_shipped(self) -> bool:
        """Whether it ships with the package."""
        return "." not in self.model and "/" not in self.model

    @property
    def key(self) -> str:
        """The hash of the model's bytes, by which it is known to its workers.

        Raises:
            ModelRefused: there is no such shipped model.
        """
        return shipped_card(self.model).sha256 if self.is_shipped else self.sha256.lower()


@attrs.frozen(kw_only=True)
class ModelFile:
    """A model that was read and passed the checks."""

    name: str
    """As fleet.toml names it."""
    key: str
    """SHA-256 of `content`, 64 hex digits."""
    format: Format
    schema: FeatureSchema
    interval: str
    """The bars it was trained on."""
    content: bytes = attrs.field(repr=False)


class ShippedCard(msgspec.Struct, frozen=True):
    """The fields of a shipped model's card that are needed to run it."""

    sha256: str


def shipped_names() -> list[str]:
    """The models that ship with the package."""
    folder = resources.files("levitrio.inference") / "shipped"
    return sorted(
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    )


def shipped_card(name: str) -> ShippedCard:
    """The card of a shipped model. Raises ModelRefused when there is none of that name."""
    if name not in shipped_names():
        known = ", ".join(shipped_names())
        raise ModelRefused(
            f"model: expected a path that ends in {', '.join(SUFFIXES)} or one of {known}, "
            f"got {name!r}"
        )
    card = resources.files("levitrio.inference") / "shipped" / f"{name}.json"
    return msgspec.json.decode(card.read_bytes(), type=ShippedCard)


def check_name(reference: ModelReference) -> None:
    """Check a reference without its file. Raises ModelRefused."""
    if reference.is_shipped:
        shipped_card(reference.model)
    else:
        format_of(reference.model)
        if not reference.sha256:
            raise ModelRefused(
                f"model {reference.model!r}: expected its sha256 beside it, got none "
                f"(sha256sum {Path(reference.model).name})"
            )
    digits = reference.sha256.lower()
    if digits and (len(digits) != 64 or not set(digits) <= set("0123456789abcdef")):
        raise ModelRefused(f"sha256: expected 64 hex digits, got {reference.sha256[:80]!r}")


def format_of(model: str) -> Format:
    """The format of a path, by its ending. Raises ModelRefused for any that could run code."""
    suffix = Path(model).suffix.lower()
    if suffix in _RUNS_CODE:
        raise ModelRefused(
            f"model {model!r}: {suffix} files can run code when they are loaded and are never "
            f"read; export it to ONNX (levi train does)"
        )
    if suffix not in SUFFIXES:
        raise ModelRefused(
            f"model {model!r}: expected a file that ends in {', '.join(SUFFIXES)}, got {suffix!r}"
        )
    return SUFFIXES[suffix]


def read_model(reference: ModelReference, folder: Path) -> ModelFile:
    """Read a model once and check everything but its run.

    Args:
        reference: as fleet.toml names it.
        folder: what its path is relative to.

    Raises:
        ModelRefused: with the reason.
    """
    check_name(reference)
    if reference.is_shipped:
        path = resources.files("levitrio.inference") / "shipped" / f"{reference.model}.onnx"
        content, form = path.read_bytes(), SUFFIXES[".onnx"]
    else:
        content = _read(folder / reference.model, reference.model)
        form = format_of(reference.model)
    found = hashlib.sha256(content).hexdigest()
    if found != reference.key:
        raise ModelRefused(
            f"model {reference.model!r}: expected sha256 {reference.key}, the file has {found}"
        )
    notes = _notes(reference.model, form, content)
    return ModelFile(
        name=reference.model,
        key=found,
        format=form,
        schema=_schema(reference.model, notes.get(SCHEMA_NOTE, "")),
        interval=notes.get(INTERVAL_NOTE, ""),
        content=content,
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return read_regular(path, MAX_BYTES)[0]
    except OSError as exc:
        raise ModelRefused(f"model {name!r}: cannot be read: {reason_of(exc)}") from None


def _notes(name: str, form: Format, content: bytes) -> dict[str, str]:
    is_text = content.startswith(b"tree\n")
    if form == "lightgbm":
        if not is_text:
            raise ModelRefused(
                f"model {name!r}: expected a LightGBM text (its first line is `tree`), "
                f"got {content[:16]!r}"
            )
        return _lines(content, (SCHEMA_NOTE, INTERVAL_NOTE))
    try:
        return metadata_of(content)
    except ValueError as exc:
        raise ModelRefused(f"model {name!r}: expected an ONNX file, got: {exc}") from None


def _lines(content: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """`name:value` lines at the end of a text, where LightGBM ignores unknown lines."""
    found = {}
    for line in content[-2048:].decode(errors="replace").splitlines():
        name, separator, value = line.partition(":")
        if separator and name in names:
            found[name] = value
    return found


def _schema(name: str, found: str) -> FeatureSchema:
    schema = BY_HASH.get(found)
    if schema is None:
        known = ", ".join(f"{each.name} {each.hash[:12]}" for each in SCHEMAS.values())
        raise ModelRefused(
            f"model {name!r}: expected the feature schema of this version ({known}), "
            f"got {found[:12] or 'a model without one'}; train it again"
        )
    return schema
