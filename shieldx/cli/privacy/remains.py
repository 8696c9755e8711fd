"""What an erasure cannot reach at once, and when it will be gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shieldx.cli.moment import rfc3339
from shieldx.domains.audit.tables import LOG
from shieldx.domains.credits.tables import COMMANDS as LEDGER_COMMANDS
from shieldx.domains.credits.tables import TRANSACTIONS
from shieldx.domains.privacy.data_keys import SWEEP_AFTER_MS
from shieldx.domains.privacy.tables import COMMANDS, ERASURES, KEY_REQUESTS, KEYS, REQUESTS, RESULTS
from shieldx.engine.declarations.lifetime import BROKERS_SEGMENT
from shieldx.engine.declarations.manifests import duration_ms
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shieldx.engine.declarations.manifests import Topic

CLEANING_MS = 10 * 60_000
"""The broker looks for what to delete every 5 minutes, and deletes a file a minute later; both are its defaults."""
IN_CLEAR = "brand and last four digits, descriptions"
KEY_COPY_DAYS = 30
"""Copies of data keys must expire within this time, or an erasure would be void."""


class Remainder(NamedTuple):
    """Something that is still somewhere."""

    what: str
    where: str
    until: str | None
    """When it is gone at the latest; None: it stays as long as the place keeps it."""


def remains(topics: Mapping[str, Topic], erased_at: datetime) -> Iterator[Remainder]:
    """What is left of a subject whose keys were destroyed at a time."""
    compacted = duration_ms(topics[KEYS].max_compaction_lag or BROKERS_SEGMENT)
    yield Remainder("wrapped data keys", KEYS, _after(erased_at, SWEEP_AFTER_MS + compacted + CLEANING_MS))
    for topic in (KEY_REQUESTS, COMMANDS):
        yield Remainder("wrapped data keys", topic, _after(erased_at, _kept_ms(topics[topic])))
    yield Remainder(
        "wrapped data keys",
        "backups, if you keep them as long as you may",
        _after(erased_at, KEY_COPY_DAYS * duration_ms("1d")),
    )
    for topic in (LEDGER_COMMANDS, TRANSACTIONS):
        yield Remainder(IN_CLEAR, topic, _after(erased_at, _kept_ms(topics[topic])))
    yield Remainder(
        "masked values of records that were set aside", DEAD_LETTERS, _after(erased_at, _kept_ms(topics[DEAD_LETTERS]))
    )
    yield Remainder("the subject's pseudonym", RESULTS, _after(erased_at, _kept_ms(topics[RESULTS])))
    yield Remainder("the subject's pseudonym, keys' names", f"{ERASURES}, {REQUESTS}", None)
    yield Remainder("sealed values, unreadable", LOG, None)
    yield Remainder("actor and subject of entries, as they were appended", LOG, None)
    yield Remainder("descriptions, masked", "Postgres", None)
    yield Remainder("brand and last four digits", "WAL and backups of Postgres", None)


def _kept_ms(topic: Topic) -> int:
    return duration_ms(topic.retention) + duration_ms(topic.segment or BROKERS_SEGMENT) + CLEANING_MS


def _after(start: datetime, ms: int) -> str:
    return rfc3339(start + timedelta(milliseconds=ms))
