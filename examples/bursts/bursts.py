"""Raises an alarm when a tenant consumes more often than its limit within ten minutes.

Two inputs are joined: the ledger's results, and limits that operators set. Windows of ten minutes advance by a minute.
They use the time of the ledger's decision (`at`), not that of reading: a result that is repeated days later is late.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits.messages import Code, Result
from shieldx.messages import Id, Output, Source
from shieldx.state.keyed_table import keyed_table
from shieldx.state.windowed_table import windowed_table

if TYPE_CHECKING:
    from shieldx.state.partition_state import FoldContext

MINUTE_MS = 60_000
ALARMS = "bursts.alarms"


class SetLimit(msgspec.Struct, frozen=True, kw_only=True, tag="set_limit", tag_field="type"):
    """How often a tenant may consume within ten minutes."""

    tenant_id: Id
    limit: int


class Alarm(msgspec.Struct, frozen=True, tag="alarm", tag_field="type"):
    """A tenant has reached more than its limit in the ten minutes that begin at `start_ms`."""

    tenant_id: str
    start_ms: int
    limit: int


class Late(msgspec.Struct, frozen=True, tag="late", tag_field="type"):
    """A result was too late for every window that contains it, so it was not counted."""

    tenant_id: str
    transaction_id: str


class Limit(msgspec.Struct, frozen=True):
    limit: int


class Count(msgspec.Struct, frozen=True):
    count: int = 0


LIMITS = keyed_table("bursts.limits", Limit)
COUNTS = windowed_table("bursts.counts", Count, size_ms=10 * MINUTE_MS, advance_ms=MINUTE_MS, grace_ms=2 * MINUTE_MS)


class BurstsFold:
    def __init__(self, context: FoldContext) -> None:
        self.limits = context.table(LIMITS)
        self.counts = context.table(COUNTS)

    def apply(self, message: SetLimit | Result, source: Source) -> list[Output]:  # noqa: ARG002 - `at` counts here
        if isinstance(message, SetLimit):
            self.limits.put(Limit(message.limit), message.tenant_id)
            return []
        if message.type != "consume" or message.code is not Code.OK:
            return []
        return self._count(message)

    def _count(self, result: Result) -> list[Output]:
        tenant_id, limit = result.tenant_id, self.limits.get(result.tenant_id)
        windows = self.counts.at(int(datetime.fromisoformat(result.at).timestamp() * 1000))
        if not windows:
            return [Output(ALARMS, tenant_id, Late(tenant_id, result.transaction_id))]
        alarms = []
        for window in windows:
            count = (window.get(tenant_id) or Count()).count + 1
            window.put(Count(count), tenant_id)
            if limit is not None and count == limit.limit + 1:
                alarms.append(Output(ALARMS, tenant_id, Alarm(tenant_id, window.start_ms, limit.limit)))
        return alarms
