"""Tables that are declared and never opened."""

from __future__ import annotations

from typing import Any

from shieldx.state.table import TableSpec


def never_opened(_: object) -> Any:
    raise AssertionError("nothing opens this table")


def specs(*topics: str) -> tuple[TableSpec[Any], ...]:
    return tuple(TableSpec(topic, never_opened) for topic in topics)
