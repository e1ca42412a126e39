"""The whole folder needs the extra `http`."""

import pytest

pytest.importorskip("starlette", reason="needs the extra http")
pytest.importorskip("hypercorn", reason="needs the extra http")
