"""The OpenAPI document says what is served."""

from levitrio.control.params import HaltParams
from levitrio.http import openapi
from levitrio.http.endpoints import VERBS


def test_every_call_is_described() -> None:
    """Each verb is a POST with the token; looking has no token."""
    paths = openapi.document()["paths"]
    for verb in VERBS:
        post = paths[f"/engines/{verb}/{{symbol}}"]["post"]
        assert post["security"] == [{"token": []}]
        assert {"200", "401", "403", "404", "409"} <= post["responses"].keys()
    for path in ("/engines/status", "/engines/status/{symbol}", "/risk", "/metrics", "/events"):
        assert "security" not in paths[path]["get"]


def test_every_reference_leads_somewhere() -> None:
    """No schema is named that is not there."""
    document = openapi.document()
    schemas = document["components"]["schemas"]
    waiting: list[object] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                assert reference.removeprefix("#/components/schemas/") in schemas
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def test_params_are_those_of_the_socket() -> None:
    """One class validates both socket and HTTP, so both have the same limits."""
    reason = openapi.document()["components"]["schemas"][HaltParams.__name__]["properties"][
        "reason"
    ]
    assert reason["maxLength"] == 500
