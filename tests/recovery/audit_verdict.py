"""Whether the audit log holds what was appended, each append once, in unbroken chains; and its mirror the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from shieldx.domains.audit.entry import AuditEntry
from shieldx.domains.audit.projections import COLUMNS, KEY, TABLE, entry_of
from shieldx.domains.audit.tables import CHECKPOINTS, LOG, ROTATIONS
from shieldx.messages import DEAD_LETTERS
from shieldx.verification.heads import Heads
from shieldx.verification.kafka_log import heads_below, kafka_segments
from shieldx.verification.postgres_log import SINK, mirrored_heads, mirrored_positions, postgres_segments
from shieldx.verification.verify import Verifier
from tests import projections
from tests.domains.audit.independent_verifier import verify_records
from tests.recovery.audit_model import INPUTS, AuditModel
from tests.recovery.reading import Tail, read_topic, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka import ConsumerRecord

    from shieldx.bootstrap.platform import Platform
    from shieldx.keyring.keyring import Keyring

SHOWN = 5
_ROWS = f"SELECT {', '.join([*KEY, *COLUMNS])} FROM {TABLE}"  # noqa: S608 - constants
_UNREADABLE = "SELECT topic, partition, record_offset, reason FROM shieldx.unreadable WHERE sink = $1"


class AuditJudge:
    """Follows appends and rotations, then reads log, heads and mirror back and compares."""

    def __init__(self, platform: Platform, group: str, keys: Keyring) -> None:
        self._platform = platform
        self._bootstrap = platform.bootstrap
        self._partitions = platform.partitions
        self._keys = keys
        self._tail = Tail(self._bootstrap, group, INPUTS, self._partitions)
        self._models = [AuditModel(number, keys.first) for number in range(self._partitions)]
        self._log: list[list[ConsumerRecord]] = []
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()

    async def settle(self, timeout_s: float) -> None:
        """Wait until all that was appended is committed. A stall counts as wrong."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._tail.until(lambda: True, lambda record: self._models[record.partition].feed(record))
        except TimeoutError:
            self.wrong.append(f"the audit log is not at the end of its inputs after {timeout_s:.0f} s")

    async def judge(self, keys: set[tuple[str, str]]) -> None:
        """Compare the log with what was appended, and check its chains.

        `keys` are tenant and idempotency key of each append that a client was acknowledged.
        """
        for place in await unreadable(self._bootstrap, (*INPUTS, LOG, CHECKPOINTS), self._partitions):
            self.wrong.append(f"a transaction is open: {place}")
        self._log = await read_topic(self._bootstrap, LOG, self._partitions)
        heads = await read_topic(self._bootstrap, CHECKPOINTS, self._partitions)
        await self._check_letters()
        for model, records in zip(self._models, self._log, strict=True):
            entries = [msgspec.json.decode(record.value) for record in records]
            self._add(f"{LOG}/{model.shard}", model.differences_in_entries(entries))
            self._check_head(model.shard, entries, heads[model.shard])
        self._check_chains([records[-1].value for records in heads if records])
        self._check_forwarded()
        missing = keys - set(chain.from_iterable(model.keys for model in self._models))
        self._add("acknowledged appends", (f"{key} was lost" for key in missing))
        self._add("rotations", (f"shard {m.shard} had none" for m in self._models if not m.entries[ROTATIONS]))
        self._count()

    async def compare_mirror(self, dsn: str, timeout_s: float) -> None:
        """Postgres must come to hold the log, entry by entry, and the product must find both whole."""
        ends = {records[-1].partition: records[-1].offset for records in self._log if records}
        try:
            await projections.passed(dsn, SINK, {(LOG, number): offset for number, offset in ends.items()}, timeout_s)
        except TimeoutError:
            self.wrong.append(f"the mirror is not at the end of the log after {timeout_s:.0f} s")
        rows, aside = await _mirror(dsn)
        self.counts["rows of the mirror"] = len(rows)
        self._add("shieldx.unreadable", (f"the mirror set aside {tuple(place.values())}" for place in aside))
        logged = Counter(msgspec.json.decode(r.value, type=AuditEntry) for records in self._log for r in records)
        mirrored = Counter(entry_of(row) for row in rows)
        self._add("the mirror lacks", map(repr, (logged - mirrored).elements()))
        self._add("the mirror has too much", map(repr, (mirrored - logged).elements()))
        await self._verify_by_the_product(dsn)

    def _add(self, place: str, wrong: Iterable[str]) -> None:
        """The first few, and how many there are."""
        every = list(wrong)
        self.wrong += [f"{place}: {each}" for each in every[:SHOWN]]
        if len(every) > SHOWN:
            self.wrong.append(f"{place}: {len(every)} differences in all")

    async def _check_letters(self) -> None:
        letters = await read_topic(self._bootstrap, DEAD_LETTERS, self._partitions)
        for model, records in zip(self._models, letters, strict=True):
            found: dict[str, list[dict[str, Any]]] = {topic: [] for topic in INPUTS}
            for record in records:
                letter = msgspec.json.decode(record.value)
                if letter["source"]["topic"] in found:
                    self.counts[f"dead letter: {letter['reason']}"] += 1
                    found[letter["source"]["topic"]].append(letter)
            self._add(f"{DEAD_LETTERS}/{model.shard}", model.differences_in_letters(found))

    def _check_head(self, shard: int, entries: list[dict[str, Any]], heads: list[ConsumerRecord]) -> None:
        """The last head must be of the last entry."""
        head = msgspec.json.decode(heads[-1].value) if heads else {}
        last = entries[-1] if entries else {}
        named = ("shard", "sequence", "at", "hash")
        if [head.get(name) for name in named] != [last.get(name) for name in named]:
            self.wrong.append(f"{CHECKPOINTS}/{shard}: the head is {head}, the last entry {last}")

    def _check_chains(self, heads: list[bytes]) -> None:
        """By a verifier that shares no code with the product."""
        records = [(r.partition, r.key, r.value) for r in chain.from_iterable(self._log)]
        self._add("broken", map(str, verify_records(records, dict(self._keys), heads)))

    async def _verify_by_the_product(self, dsn: str) -> None:
        settings, bootstrap = self._platform.settings, self._bootstrap
        verifier = Verifier(self._keys, jobs=1, progress=lambda _done, _total: None)
        segments = await kafka_segments(settings, bootstrap, LOG, self._partitions)
        seen = await mirrored_heads(dsn, self._keys)
        kafka = await verifier.log(segments, Heads(seen, []))
        positions = await mirrored_positions(dsn, LOG)
        below = await heads_below(settings, bootstrap, LOG, positions, self._keys)
        postgres = await verifier.log(await postgres_segments(dsn), Heads(below, []))
        for place, verdict in (("Kafka", kafka), ("Postgres", postgres)):
            self._add(f"the product finds in {place}", map(str, verdict.breaks))
            if verdict.entries != self.counts["entries"]:
                self.wrong.append(f"the product counts {verdict.entries} entries in {place}")

    def _check_forwarded(self) -> None:
        """What was misplaced arrived at home, each as often as it was forwarded."""
        forwarded = Counter(value for model in self._models for value in model.forwarded)
        arrived = Counter(value for model in self._models for value in model.arrived)
        if forwarded != arrived:
            self.wrong.append(f"appends forwarded {forwarded.total()} times, arrived {arrived.total()} times")

    def _count(self) -> None:
        counts, models = self.counts, self._models
        counts["entries"] = sum(map(len, self._log))
        counts["appends of the ledger"] = sum(model.of_ledger for model in models)
        counts["rotations chained"] = sum(len(model.entries[ROTATIONS]) for model in models)
        counts["repeats passed over"] = sum(model.repeats for model in models)
        counts["appends forwarded"] = sum(len(model.arrived) for model in models)


async def _mirror(dsn: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Every row, and what was set aside."""
    database = await asyncpg.connect(dsn)
    try:
        return list(map(dict, await database.fetch(_ROWS))), list(map(dict, await database.fetch(_UNREADABLE, SINK)))
    finally:
        await database.close()
