"""Windows are of stream time, and a worker may lag by as much as its commands are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from shieldx.domains.credits import refundable_amounts, tables
from shieldx.engine.declarations.manifests import duration_ms, load_manifests
from shieldx.state import deduplication as remembered

TOPICS = load_manifests(Path(__file__).parents[3] / "topics")


@pytest.mark.parametrize(
    ("table", "window_ms"),
    [
        (tables.OUTCOMES, remembered.WINDOW_MS + remembered.HOUR_MS),
        (tables.TRANSACTIONS, refundable_amounts.WINDOW_MS),
    ],
)
def test_a_windowed_table_outlives_its_window_by_the_longest_lag(table: str, window_ms: int) -> None:
    longest_lag_ms = duration_ms(TOPICS[tables.COMMANDS].retention)
    segment_ms = duration_ms(TOPICS[table].segment or "0s")
    assert duration_ms(TOPICS[table].retention) >= window_ms + longest_lag_ms + segment_ms
