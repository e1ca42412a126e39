"""Answers as bytes."""

import json

from levitrio.control import error_codes, responses


def test_a_result_may_be_json_already() -> None:
    """A cached document is not parsed again; its line breaks do not break the framing."""
    line = responses.to_line(responses.encode_result(1, b'{\n  "schema": 1\n}'))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"jsonrpc": "2.0", "id": 1, "result": {"schema": 1}}


def test_text_that_is_no_text_is_escaped() -> None:
    """An engine's error may hold a lone surrogate; the status must come out all the same."""
    line = responses.encode_result("a", {"last_error": "\ud800"})
    assert json.loads(line)["result"]["last_error"] == "\ud800"


def test_an_error_says_only_what_there_is() -> None:
    """No empty `data`."""
    error = json.loads(responses.encode_error(None, error_codes.BUSY, "busy"))
    assert error == {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "busy"}}
    error = json.loads(responses.encode_error(1, error_codes.BUSY, "busy", {"hint": "wait"}))
    assert error["error"]["data"] == {"hint": "wait"}


def test_batches_and_notifications() -> None:
    """A batch is one line; a notification has no id."""
    assert responses.encode_batch([b"1", b"2"]) == b"[1,2]"
    assert "id" not in json.loads(responses.encode_notification("event", {"seq": 1}))
