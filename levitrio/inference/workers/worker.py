"""Loads and runs models inside a worker process.

The module does not know the fleet. It imports only the standard library: the runtimes are
imported by the process that workers are forked from, or with the first model.
"""

import faulthandler
import math
import os
import resource
from collections.abc import Callable
from typing import Any

from levitrio.inference.models.feature_schema import Vector
from levitrio.inference.workers import runtime_env

Answer = float | str
"""A probability from 0 to 1, or what is wrong with the answer."""

_NICENESS = 10
_SHARE_OF_BLAME = "800"
"""Of 1,000: when memory runs out, the kernel ends a worker and not the fleet."""

_KEPT_VARIABLES = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TZ"})

_loaded: dict[str, Callable[[Vector], float]] = {}


def drop_privileges() -> None:
    """Drop environment, terminal, priority and file writes; the first call in a worker.

    The process was forked from one that was started afresh: it has no memory and no descriptor
    of the fleet.
    """
    for name in set(os.environ) - _KEPT_VARIABLES - set(runtime_env.RUNTIME_ENV):
        del os.environ[name]
    os.nice(_NICENESS)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(_SHARE_OF_BLAME)
    except OSError:
        pass  # not Linux, or not allowed: the kernel may then end the fleet instead


def process_id() -> int:
    """The worker's process id."""
    return os.getpid()


def load(key: str, form: str, content: bytes, width: int) -> str:
    """Load a model and ask it once. Returns what is wrong with it, or nothing.

    The first call of a runtime is the slowest; it happens here and delays no signal.
    """
    try:
        ask = make_predictor(form, content, width)
        answer = checked(ask((0.0,) * width))
    except Exception as exc:  # noqa: BLE001  any error of a runtime is returned, the worker lives on
        return f"{type(exc).__name__}: {exc}"[:500]
    if isinstance(answer, str):
        return answer
    _loaded[key] = ask
    return ""


def predict(calls: tuple[tuple[str, Vector], ...], patience: float) -> tuple[Answer, ...]:
    """The answers of some models, each to its vector. Raises KeyError for one not loaded.

    After `patience` seconds the process ends itself, because the fleet may be gone.
    """
    faulthandler.dump_traceback_later(patience, exit=True)
    try:
        return tuple([_answer(_loaded[key], vector) for key, vector in calls])
    finally:
        faulthandler.cancel_dump_traceback_later()


def _answer(ask: Callable[[Vector], float], vector: Vector) -> Answer:
    try:
        return checked(ask(vector))
    except Exception as exc:  # noqa: BLE001  a model that fails costs one answer, not the worker
        return f"{type(exc).__name__}: {exc}"[:500]


def checked(value: float) -> Answer:
    """The value if it is a probability, else what is wrong with it."""
    if not math.isfinite(value) or not -1e-6 <= value <= 1.0 + 1e-6:
        return f"expected a probability from 0 to 1, got {value!r}"
    return min(1.0, max(0.0, value))


def make_predictor(form: str, content: bytes, width: int) -> Callable[[Vector], float]:
    """A function from a vector of `width` numbers to the probability of a rise.

    Raises:
        ValueError: the model's shape does not fit; a runtime may raise any other type.
    """
    return _onnx(content, width) if form == "onnx" else _lightgbm(content, width)


def _onnx(content: bytes, width: int) -> Callable[[Vector], float]:
    runtime_env.set_runtime_env()
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        found = [(each.type, each.shape) for each in inputs]
        raise ValueError(f"expected one input tensor(float) [rows, {width}], got {found}")
    if inputs[0].shape[1] not in (width, None) and not isinstance(inputs[0].shape[1], str):
        raise ValueError(f"expected {width} features, got {inputs[0].shape[1]}")
    name, outputs = inputs[0].name, _output(session)

    def ask(vector: Vector) -> float:
        answer: Any = session.run(outputs, {name: np.array([vector], dtype=np.float32)})[0]
        # One column is the probability of a rise; of two, it is the second.
        return float(np.asarray(answer, dtype=np.float64).reshape(1, -1)[0, -1])

    return ask


def _output(session: Any) -> list[str]:
    """The output to read: `prob_up`, `probabilities`, or the only one of floats."""
    floats = [
        o.name for o in session.get_outputs() if o.type in ("tensor(float)", "tensor(double)")
    ]
    for name in ("prob_up", "probabilities"):
        if name in floats:
            return [name]
    if len(floats) != 1:
        raise ValueError(f"expected an output named prob_up, got {floats or 'no tensor of floats'}")
    return floats


def _lightgbm(content: bytes, width: int) -> Callable[[Vector], float]:
    runtime_env.set_runtime_env()
    import lightgbm
    import numpy as np

    model = lightgbm.Booster(model_str=content.decode())
    if model.num_feature() != width:
        raise ValueError(f"expected {width} features, got {model.num_feature()}")

    def ask(vector: Vector) -> float:
        row = np.array([vector], dtype=np.float32).astype(np.float64)
        return float(np.asarray(model.predict(row, num_threads=1)).reshape(-1)[-1])

    return ask
