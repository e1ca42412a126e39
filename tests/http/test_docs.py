"""docs/http.md names what is served."""

import re

from levitrio.http import openapi
from levitrio.http.endpoints import VERBS
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "http.md").read_text()


def test_every_call_is_documented() -> None:
    """Each path of the OpenAPI document, and each verb."""
    for path in openapi.document()["paths"]:
        verb = path.split("/")[2] if path.startswith("/engines/") else ""
        if verb in VERBS:
            assert f"`{verb}`" in TEXT or f"/engines/{verb}/" in TEXT
        else:
            assert re.search(rf"{re.escape(path)}[`\s]", TEXT), path
