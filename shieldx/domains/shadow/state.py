"""The tables of shadow evaluation, as its page declares them."""

from __future__ import annotations

from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import Score
from shieldx.domains.shadow.tables import Plan, Reported, RuleRow, SampleSetRow
from shieldx.state.keyed_table import keyed_table

BYTES_PER_SAMPLE = 52
"""About what a drawn sample takes in memory: its index, and three references."""


def _drawn_bytes(row: Plan | Reported) -> int:
    """The memory that the samples of a running evaluation take."""
    return row.evaluate.sample_size * BYTES_PER_SAMPLE if isinstance(row, Plan) else 0


RULES = keyed_table(tables.RULES, RuleRow, resident=True)
SAMPLE_SETS = keyed_table(tables.SAMPLE_SETS, SampleSetRow, resident=True)
PLANS = keyed_table(tables.PLANS, Plan | Reported, resident=True, extra_bytes=_drawn_bytes)
COLLECTED = keyed_table(tables.COLLECTED, Score, resident=True)
STATE = (RULES, SAMPLE_SETS, PLANS, COLLECTED)
