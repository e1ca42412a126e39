"""Formats answers of the fleet as lines of text: incidents, events, plain members."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from levitrio.cli.terminal import duration, neutral


def describe_incidents(result: Mapping[str, Any]) -> Sequence[str]:
    """Incidents, newest first, each with its traceback indented below."""
    lines: list[str] = []
    for incident in result["incidents"]:
        delay = incident.get("delay")
        after = "given up" if delay is None else f"restart after {duration(delay)}"
        lines.append(
            f"{_time(incident)} {neutral(incident.get('symbol', result['symbol']))}"
            f" incarnation {neutral(incident.get('incarnation', '-'))}"
            f" {neutral(incident.get('cause', '-'))}: {neutral(incident.get('error', ''))}"
            f" ({after})"
        )
        for part in ("traceback", "last_lines"):
            text = str(incident.get(part) or "")
            if text and part == "last_lines":
                lines.append("    events before it:")
            lines += [f"    {neutral(line)}" for line in text.split("\n") if line]
    return lines or [f"{neutral(result['symbol'])} has no incident"]


def describe_events(batch: Mapping[str, Any]) -> Sequence[str]:
    """Events, one per line: number, time, engine, kind, text."""
    lines: list[str] = []
    if batch.get("missed"):
        lines.append(f"({neutral(batch['missed'])} events are no longer kept)")
    for event in batch.get("events", ()):
        words = [str(event.get("seq", "-")), _time(event)]
        words += [str(event[key]) for key in ("engine", "kind", "text") if event.get(key)]
        lines.append(neutral(" ".join(words)))
    return lines


def describe_members(result: Mapping[str, Any], indent: str = "") -> Sequence[str]:
    """Any answer, one member per line, nested members indented."""
    lines: list[str] = []
    for key, value in result.items():
        if isinstance(value, Mapping) and value:
            lines.append(f"{indent}{neutral(key)}:")
            lines += describe_members(value, indent + "  ")
        elif isinstance(value, list):
            lines.append(f"{indent}{neutral(key)}: {neutral(', '.join(map(str, value)) or '-')}")
        else:
            shown = ("yes" if value else "no") if isinstance(value, bool) else value
            shown = "-" if shown is None or shown in ("", {}) else shown
            lines.append(f"{indent}{neutral(key)}: {neutral(shown)}")
    return lines


def _time(record: Mapping[str, Any]) -> str:
    """`wall_ms` as UTC, or the `ts` of an event, or the `time` of an incident."""
    wall_ms = record.get("wall_ms")
    if isinstance(wall_ms, int):
        return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return neutral(record.get("ts") or record.get("time", "-"))
