"""Environment variables that must be set before numpy and onnxruntime are imported.

One thread each: a worker is one of several, and threads do not survive a fork. No telemetry: since
1.29 the official Linux builds of onnxruntime report models and sessions to their maker, and keep a
database for it under the home directory, unless it is disabled.
"""

import os

RUNTIME_ENV = {
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def set_runtime_env() -> None:
    """Set them in this process; call it before a runtime is imported."""
    os.environ.update(RUNTIME_ENV)
