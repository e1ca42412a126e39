"""Imported once by the process that workers are forked from, so that each has its runtimes at once.

That process was started afresh: it knows nothing of the fleet, and does nothing but fork.
"""

from contextlib import suppress

from levitrio.inference.workers import runtime_env

runtime_env.set_runtime_env()

with suppress(ImportError):
    import numpy  # noqa: F401
with suppress(ImportError):
    import onnxruntime  # noqa: F401
