"""Imports the runtimes in the process that workers are forked from.

That process was started afresh: it shares nothing with the fleet, and only forks.
"""

from contextlib import suppress

from levitrio.inference.workers import runtime_env

runtime_env.set_runtime_env()

with suppress(ImportError):
    import numpy  # noqa: F401
with suppress(ImportError):
    import onnxruntime  # noqa: F401
