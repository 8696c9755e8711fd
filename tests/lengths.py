"""How much a test does: briefly in `make test`, at length in `make soak`."""

from __future__ import annotations

import os

SOAK = os.environ.get("SOAK", "") not in {"", "0"}


def length(*, short: int, soak: int) -> int:
    """Return how many examples, rows or rounds a test is to have in this run."""
    return soak if SOAK else short
