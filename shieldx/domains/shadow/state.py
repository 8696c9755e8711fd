"""The declarations of shadow evaluation's tables."""

from __future__ import annotations

from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import Score
from shieldx.domains.shadow.sample_sets import moved_row
from shieldx.domains.shadow.tables import Plan, Reported, RuleRow, SampleSetRow, Settling
from shieldx.state.keyed_table import keyed_table

BYTES_PER_SAMPLE = 52
"""Estimated memory of a drawn sample: its index and three references."""


def _drawn_bytes(row: Plan | Settling | Reported) -> int:
    """The memory of the samples of a running evaluation."""
    return row.evaluate.sample_size * BYTES_PER_SAMPLE if isinstance(row, Plan) else 0


RULES = keyed_table(tables.RULES, RuleRow, resident=True)
SAMPLE_SETS = keyed_table(tables.SAMPLE_SETS, SampleSetRow, resident=True, moved=moved_row)
PLANS = keyed_table(tables.PLANS, Plan | Settling | Reported, resident=True, extra_bytes=_drawn_bytes)
COLLECTED = keyed_table(tables.COLLECTED, Score, resident=True)
STATE = (RULES, SAMPLE_SETS, PLANS, COLLECTED)
