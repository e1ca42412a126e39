"""What must be said to the runtimes before they are imported.

One thread each: a worker is one of several, and threads do not survive a fork. And no word to
anybody: since 1.29 the official Linux builds of onnxruntime report models and sessions to their
maker, and keep a database for it under the home directory, unless told not to.
"""

import os

SAID = {
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def set_runtime_env() -> None:
    """Say it, in this process; call it before a runtime is imported."""
    os.environ.update(SAID)
