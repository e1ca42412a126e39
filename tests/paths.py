"""Where the repository and the recordings beside it are, for tests at any depth."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SHARED = ROOT.parent / "shared" / "data"
"""Recordings and vectors that are not in the repository; tests skip with a reason without them."""
