"""Exports a fitted model with its schema: ONNX, or LightGBM's own text.

The calibration is part of the graph, so that the output is a probability. The bytes depend on the
model alone: no time, no path, no version of levitrio.
"""

import json
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from levitrio.inference.models.feature_schema import FeatureSchema
from levitrio.inference.models.model_file import INTERVAL_NOTE, SCHEMA_NOTE
from levitrio.training.fitting import Boosted, Calibration, Fitted, Logistic

_OPSET = 13
_ML_OPSET = 1
_IR_VERSION = 8
"""All three are old enough for any onnxruntime of the last years."""


def to_onnx(
    fitted: Fitted, calibration: Calibration, schema: FeatureSchema, interval: str
) -> bytes:
    """A model with one input `features` [rows, width] and one output `prob_up` [rows, 1].

    Args:
        fitted: the model.
        calibration: applied to its scores.
        schema: of its features.
        interval: of the bars it was trained on.
    """
    if isinstance(fitted, Logistic):
        nodes, constants = _logistic(fitted, calibration)
    else:
        assert isinstance(fitted, Boosted)
        nodes, constants = _trees(fitted, calibration)
    graph = helper.make_graph(
        [*nodes, helper.make_node("Sigmoid", ["score"], ["prob_up"])],
        "levitrio",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", len(schema.names)])],
        [helper.make_tensor_value_info("prob_up", TensorProto.FLOAT, ["rows", 1])],
        constants,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="levitrio"
    )
    helper.set_model_props(model, {SCHEMA_NOTE: schema.hash, INTERVAL_NOTE: interval})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _logistic(fitted: Logistic, calibration: Calibration) -> tuple[list[Any], list[Any]]:
    weights = (fitted.weights * calibration.slope).astype(np.float32)[:, None]
    bias = np.array([fitted.bias * calibration.slope + calibration.offset], dtype=np.float32)
    node = helper.make_node("Gemm", ["features", "weights", "bias"], ["score"])
    return [node], [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(bias, "bias"),
    ]


def _trees(fitted: Boosted, calibration: Calibration) -> tuple[list[Any], list[Any]]:
    import lightgbm

    dump = lightgbm.Booster(model_str=fitted.text).dump_model()
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "nodes_treeids",
            "nodes_nodeids",
            "nodes_featureids",
            "nodes_values",
            "nodes_modes",
            "nodes_truenodeids",
            "nodes_falsenodeids",
            "target_treeids",
            "target_nodeids",
            "target_ids",
            "target_weights",
        )
    }
    for number, tree in enumerate(dump["tree_info"]):
        _add_tree(columns, number, tree["tree_structure"])
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            ["sum"],
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="SUM",
            post_transform="NONE",
            **columns,
        ),
        helper.make_node("Mul", ["sum", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["score"]),
    ]
    return nodes, [
        numpy_helper.from_array(np.array([calibration.slope], dtype=np.float32), "slope"),
        numpy_helper.from_array(np.array([calibration.offset], dtype=np.float32), "offset"),
    ]


def _add_tree(columns: dict[str, list[Any]], number: int, root: dict[str, Any]) -> None:
    """Append the nodes of one tree, numbered in the order of the walk."""
    waiting = [(root, 0)]
    count = 1
    while waiting:
        node, own = waiting.pop()
        is_leaf = "leaf_value" in node
        children = (0, 0) if is_leaf else (count, count + 1)
        threshold = 0.0 if is_leaf else _rounded_down(node["threshold"])
        columns["nodes_treeids"].append(number)
        columns["nodes_nodeids"].append(own)
        columns["nodes_featureids"].append(0 if is_leaf else node["split_feature"])
        columns["nodes_values"].append(threshold)
        columns["nodes_modes"].append("LEAF" if is_leaf else "BRANCH_LEQ")
        columns["nodes_truenodeids"].append(children[0])
        columns["nodes_falsenodeids"].append(children[1])
        if is_leaf:
            columns["target_treeids"].append(number)
            columns["target_nodeids"].append(own)
            columns["target_ids"].append(0)
            columns["target_weights"].append(float(np.float32(node["leaf_value"])))
            continue
        count += 2
        waiting += [(node["right_child"], children[1]), (node["left_child"], children[0])]


def _rounded_down(threshold: float) -> float:
    """The largest number of 32 bits that is not above: `<=` decides the same for all of them."""
    rounded = np.float32(threshold)
    if float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)


def to_lightgbm(fitted: Boosted, schema: FeatureSchema, interval: str) -> bytes:
    """LightGBM's text with two lines appended; uncalibrated, the format has no place for it."""
    notes = {SCHEMA_NOTE: schema.hash, INTERVAL_NOTE: interval}
    lines = "".join(f"{name}:{value}\n" for name, value in notes.items())
    return f"{fitted.text.rstrip()}\n\n{lines}".encode()


def as_json(document: Any) -> bytes:
    """A document as text that is the same each time: sorted keys, floats of nine digits."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.9g}")
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [rounded(inner) for inner in value]
        return value

    return (json.dumps(rounded(document), indent=2, sort_keys=True) + "\n").encode()
