"""Counts refusals per tenant and hour."""

import msgspec

from shieldx.domains.credits.messages import Code, Result
from shieldx.messages import Output, Source
from shieldx.state.partition_state import FoldContext
from shieldx.state.windowed_table import windowed_table

HOUR_MS = 3_600_000


class Refusals(msgspec.Struct):
    count: int = 0


COUNTS = windowed_table("refusals.per-hour", Refusals, size_ms=HOUR_MS, retention_ms=48 * HOUR_MS)


class RefusalsFold:
    def __init__(self, context: FoldContext) -> None:
        self.counts = context.table(COUNTS)

    def apply(self, result: Result, source: Source) -> list[Output]:
        if result.code not in {Code.OK, Code.UNREADABLE}:  # an unreadable command can be anybody's
            (hour,) = self.counts.at(source.at_ms)
            before = hour.get(result.tenant_id) or Refusals()
            hour.put(Refusals(before.count + 1), result.tenant_id)
        return []
