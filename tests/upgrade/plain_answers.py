"""What the ledger must have answered at level 1, by the plain model, from the log of commands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits.messages import Abort, Batch, Commit, Consume, Purchase, Refund, Reserve
from shieldx.engine.tasks.codec import TICK_VALUE
from shieldx.messages import Source
from shieldx.strict_reading import LeavesOut, StrictDecoder
from tests.domains.credits.plain_ledger import PlainLedger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiokafka import ConsumerRecord

_EXPIRE_LIMIT = 1000
_decode = StrictDecoder(Purchase | Consume | Reserve | Commit | Abort | Refund | Batch).decode


def plain_answers(partition: int, commands: Iterable[ConsumerRecord]) -> list[bytes]:
    """The values of `credits.results` in order, without those of unreadable commands."""
    ledger, at_ms, outputs = PlainLedger(partition), 0, []
    for record in commands:
        at_ms = max(at_ms, record.timestamp)
        more = True
        while more:
            expired, more = ledger.expire(at_ms, _EXPIRE_LIMIT)
            outputs += expired
        if record.value == TICK_VALUE:
            continue
        source = Source(record.topic, record.partition, record.offset, at_ms, record.value)
        try:
            outputs += ledger.apply(_decode(record.value), source)
        except LeavesOut:
            continue  # it has a field of the next release
    return [msgspec.json.encode(output.value) for output in outputs if output.topic == "credits.results"]
