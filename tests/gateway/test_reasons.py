"""docs/orders.md explains every reason for which an order does not leave."""

import re

from levitrio.gateway.symbol_state import Block
from tests.paths import ROOT


def test_every_reason_is_explained() -> None:
    """What an operator finds in the events is found in the documentation, and nothing else."""
    code = [
        path.read_text()
        for folder in ("gateway", "trading")
        for path in (ROOT / "levitrio" / folder).rglob("*.py")
    ]
    reasons = {reason for text in code for reason in re.findall(r'reason="([a-z_]+)"', text)}
    assert len(reasons) > 15, "they are written otherwise now: mend this test"
    tables = re.findall(r"^\| (`.+?) \|", (ROOT / "docs" / "orders.md").read_text(), re.MULTILINE)
    explained = {reason for cell in tables for reason in re.findall(r"`([a-z_]+)`", cell)}
    assert explained == reasons | {block.value for block in Block}
