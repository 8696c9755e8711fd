"""What an erasure cannot reach at once, and when it will be gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shieldx.cli.moment import rfc3339
from shieldx.domains.credits.tables import COMMANDS as LEDGER_COMMANDS
from shieldx.domains.credits.tables import TRANSACTIONS
from shieldx.domains.privacy.data_keys import SWEEP_AFTER_MS
from shieldx.domains.privacy.tables import COMMANDS, KEY_REQUESTS, KEYS
from shieldx.engine.declarations.lifetime import BROKERS_SEGMENT
from shieldx.engine.declarations.manifests import duration_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shieldx.engine.declarations.manifests import Topic

KEY_COPY_DAYS = 30
"""Copies of data keys must expire within this time, or an erasure would be void."""


class Remainder(NamedTuple):
    """Something that is still somewhere."""

    what: str
    where: str
    until: str | None
    """When it is gone at the latest; None: it stays, and nobody can read it."""


def remains(topics: Mapping[str, Topic], erased_at: datetime) -> Iterator[Remainder]:
    """What is left of a subject whose keys were destroyed at a time."""
    compacted = duration_ms(topics[KEYS].max_compaction_lag or BROKERS_SEGMENT)
    yield Remainder("wrapped data keys", KEYS, _after(erased_at, SWEEP_AFTER_MS + compacted))
    for topic in (KEY_REQUESTS, COMMANDS):
        yield Remainder("wrapped data keys", topic, _after(erased_at, _kept_ms(topics[topic])))
    yield Remainder("wrapped data keys", "backups", _after(erased_at, KEY_COPY_DAYS * duration_ms("1d")))
    for topic in (LEDGER_COMMANDS, TRANSACTIONS):
        yield Remainder("brand and last four digits", topic, _after(erased_at, _kept_ms(topics[topic])))
    yield Remainder("sealed values, unreadable", "audit.log", None)


def _kept_ms(topic: Topic) -> int:
    return duration_ms(topic.retention) + duration_ms(topic.segment or BROKERS_SEGMENT)


def _after(start: datetime, ms: int) -> str:
    return rfc3339(start + timedelta(milliseconds=ms))
