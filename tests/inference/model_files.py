"""Models and markets for tests, made of nothing."""

import hashlib
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from levitrio.inference.features.bar_observation import Observation
from levitrio.inference.models.feature_schema import CANDLES, FeatureSchema
from levitrio.inference.models.model_file import INTERVAL_NOTE, SCHEMA_NOTE, ModelFile

HAS_ML = all(
    importlib.util.find_spec(part) for part in ("numpy", "onnxruntime", "talib", "trio_parallel")
)
HAS_TRAINING = HAS_ML and all(importlib.util.find_spec(part) for part in ("onnx", "lightgbm"))

needs_ml = pytest.mark.skipif(not HAS_ML, reason="needs the extra [ml]")
needs_training = pytest.mark.skipif(not HAS_TRAINING, reason="needs the extra [ml]")

MINUTE = 60_000


def some_bars(count: int, *, seed: int = 1, price: float = 100.0) -> list[Observation]:
    """A random walk of one-minute bars, with order flow and spread."""
    random = Random(seed)
    bars = []
    for number in range(count):
        opened = price
        price *= math.exp(random.gauss(0.0, 1e-3))
        bars.append(
            Observation(
                open_ms=number * MINUTE,
                open=opened,
                high=max(opened, price) * 1.0005,
                low=min(opened, price) * 0.9995,
                close=price,
                volume=random.uniform(1.0, 20.0),
                imbalance=random.uniform(-1.0, 1.0),
                spread=random.uniform(1e-5, 1e-3),
            )
        )
    return bars


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes as protobuf writes it."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def noted(notes: Sequence[tuple[str, str]], rest: bytes = b"\x08\x08") -> bytes:
    """What looks like an ONNX file with these notes, as far as we look."""
    entries = [field(14, field(1, k.encode()) + field(2, v.encode())) for k, v in notes]
    return rest + b"".join(entries)


def pretended_onnx(schema: FeatureSchema = CANDLES, interval: str = "1m") -> bytes:
    """Notes of a model, and no model."""
    return noted([(SCHEMA_NOTE, schema.hash), (INTERVAL_NOTE, interval)])


def model_file(content: bytes, schema: FeatureSchema = CANDLES, name: str = "m.onnx") -> ModelFile:
    """A model that was read."""
    return ModelFile(
        name=name,
        key=hashlib.sha256(content).hexdigest(),
        format="onnx",
        schema=schema,
        interval="1m",
        content=content,
    )


def constant_onnx(value: float, schema: FeatureSchema = CANDLES, *, loops: int = 0) -> bytes:
    """A real model that always says `value`; with `loops` it takes a while to do so."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    def zeros(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(np.zeros(shape, dtype=np.float32), name)

    width = len(schema.names)
    nodes: list[Any] = []
    constants = [numpy_helper.from_array(np.array([value], dtype=np.float32), "bias")]
    source = "features"
    if loops:
        source = f"h{loops}"
        constants += [zeros("big", width, 256), zeros("square", 256, 256)]
        nodes.append(helper.make_node("MatMul", ["features", "big"], ["h0"]))
        nodes += [
            helper.make_node("MatMul", [f"h{number}", "square"], [f"h{number + 1}"])
            for number in range(loops)
        ]
    constants.append(zeros("weights", 256 if loops else width, 1))
    nodes.append(helper.make_node("Gemm", [source, "weights", "bias"], ["prob_up"]))
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("prob_up", TensorProto.FLOAT, ["rows", 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {SCHEMA_NOTE: schema.hash, INTERVAL_NOTE: "1m"})
    content: bytes = model.SerializeToString()
    return content


def endless_onnx(schema: FeatureSchema = CANDLES) -> bytes:
    """A real model that counts as far as its largest feature says before it answers."""
    from onnx import TensorProto, helper

    def value(name: str, kind: int, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, kind, list(shape))

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("Mul", ["sum", "sum"], ["next"]),
        ],
        "body",
        [
            value("n", TensorProto.INT64),
            value("going", TensorProto.BOOL),
            value("sum", TensorProto.FLOAT, 1, 1),
        ],
        [value("goes_on", TensorProto.BOOL), value("next", TensorProto.FLOAT, 1, 1)],
    )
    nodes = [
        helper.make_node("ReduceMax", ["features"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["times"], to=TensorProto.INT64),
        helper.make_node("Loop", ["times", "", "zero"], ["prob_up"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [value("features", TensorProto.FLOAT, "rows", len(schema.names))],
        [value("prob_up", TensorProto.FLOAT, 1, 1)],
        [helper.make_tensor("zero", TensorProto.FLOAT, [1, 1], [0.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {SCHEMA_NOTE: schema.hash, INTERVAL_NOTE: "1m"})
    content: bytes = model.SerializeToString()
    return content


def write_model(folder: Path, content: bytes, name: str = "m.onnx") -> str:
    """Write it and return its hash."""
    (folder / name).write_bytes(content)
    return hashlib.sha256(content).hexdigest()
