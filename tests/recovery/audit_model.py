"""What one shard of the audit log must hold, by a plain reading of what was appended to its partition."""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.domains.audit.messages import Rotate
from shieldx.domains.audit.tables import APPENDS, DECISIONS, ROTATIONS
from shieldx.engine.tasks.codec import HOP
from shieldx.messages import AuditAppend, rfc3339
from tests.recovery.append_drafts import Fate
from tests.recovery.drafts import EXPECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import ConsumerRecord

INPUTS = (APPENDS, DECISIONS, ROTATIONS)
GENESIS = "0" * 64
CONFLICT = "idempotency_conflict"
_append = msgspec.json.Decoder(AuditAppend).decode
_rotate = msgspec.json.Decoder(Rotate).decode


class Wanted(NamedTuple):
    """What one record leads to: an entry or a dead letter. Where else it stands the log itself decides."""

    offset: int
    at_ms: int
    fields: Mapping[str, Any]


class AuditModel:
    """Takes the appends and the rotations of one partition, each topic in the order of its offsets."""

    def __init__(self, shard: int, first_key_id: str) -> None:
        self.shard = shard
        self._first_key_id = first_key_id
        self._seen: dict[tuple[str, str, str], AuditAppend] = {}
        self._times: dict[str, set[str]] = {topic: set() for topic in INPUTS}
        self.entries: dict[str, list[Wanted]] = {topic: [] for topic in INPUTS}
        self.letters: dict[str, list[Wanted]] = {topic: [] for topic in INPUTS}
        self.forwarded: list[bytes | None] = []
        """Values of the records that belong to another partition."""
        self.arrived: list[bytes | None] = []
        """The same of the records that came from another partition."""
        self.repeats = 0
        self.conflicts = 0
        self.of_ledger = 0

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Tenant and idempotency key of each append of a client that is chained."""
        return {(tenant_id, key) for topic, tenant_id, key in self._seen if topic == APPENDS}

    def feed(self, record: ConsumerRecord) -> None:
        """Take the next record of a topic."""
        headers = dict(record.headers)
        fate = Fate(headers[EXPECT].decode()) if EXPECT in headers else Fate.CHAIN
        self.of_ledger += record.topic == DECISIONS
        self._times[record.topic].add(rfc3339(record.timestamp))
        if not fate.chained:
            self._set_aside(record, fate.value)
        elif record.topic == ROTATIONS:
            self._want(record, self.entries, _rotation(record))
        elif fate is Fate.FORWARD and HOP not in headers:
            self.forwarded.append(record.value)
        else:
            if HOP in headers:
                self.arrived.append(record.value)
            self._chain(record, _append(record.value))

    def _chain(self, record: ConsumerRecord, append: AuditAppend) -> None:
        before = self._seen.setdefault((record.topic, append.tenant_id, append.idempotency_key), append)
        if before is append:
            self._want(record, self.entries, _appended(append))
        elif before == append:
            self.repeats += 1
        else:
            self.conflicts += 1
            self._set_aside(record, CONFLICT)

    def _set_aside(self, record: ConsumerRecord, reason: str) -> None:
        value = record.value
        fields = {
            "reason": reason,
            "length": None if value is None else len(value),
            "sha256": None if value is None else sha256(value).hexdigest(),
        }
        self._want(record, self.letters, fields)

    def _want(self, record: ConsumerRecord, where: Mapping[str, list[Wanted]], fields: Mapping[str, Any]) -> None:
        where[record.topic].append(Wanted(record.offset, record.timestamp, fields))

    # What is found

    def differences_in_entries(self, found: list[dict[str, Any]]) -> list[str]:
        """Where the shard differs from what was appended, in the order of the log.

        The order within each topic is that of its offsets; which topic's comes first is for the log to choose, and
        decides the key that signs. Hashes are for the verifiers to check.
        """
        waiting = {topic: deque(wanted) for topic, wanted in self.entries.items()}
        wrong: list[str] = []
        key_id, prev_hash = self._first_key_id, GENESIS
        for sequence, entry in enumerate(found):
            topic, offset = _topic_and_offset(entry["input"])
            queue = waiting.get(topic, deque())
            while queue and queue[0].offset < offset:
                wrong.append(f"missing before {sequence}: {topic}/{self.shard}/{queue.popleft().offset}")
            if not queue or queue[0].offset != offset:
                wrong.append(f"{sequence} should not be there: {entry}")
            else:
                wanted = queue.popleft()
                expected = self._fields(topic, wanted) | {
                    "sequence": sequence,
                    "key_id": key_id,
                    "prev_hash": prev_hash,
                }
                wrong += self._different(f"{sequence}", topic, wanted.at_ms, expected, entry)
            prev_hash = entry["hash"]
            if topic == ROTATIONS:
                key_id = entry["subject"].removeprefix("key/")
        wrong += [f"missing: {topic}/{self.shard}/{each.offset}" for topic in waiting for each in waiting[topic]]
        return wrong

    def _fields(self, topic: str, wanted: Wanted) -> dict[str, Any]:
        """What an entry says of itself, wherever in the chain it stands."""
        place = f"{topic}/{self.shard}/{wanted.offset}"
        return {"format": 1, "shard": self.shard, "input": place, "idempotency_key": place, **wanted.fields}

    def differences_in_letters(self, found: Mapping[str, list[dict[str, Any]]]) -> list[str]:
        """Where dead letters, given by the topic of their records, differ from what should be set aside."""
        wrong: list[str] = []
        for topic, wanted in self.letters.items():
            letters = found.get(topic, [])
            if len(letters) != len(wanted):
                wrong.append(f"of {topic}/{self.shard} {len(wanted)} dead letters expected, {len(letters)} found")
            for each, letter in zip(wanted, letters, strict=False):
                source = {"topic": topic, "partition": self.shard, "offset": each.offset}
                expected = {"source": source, **each.fields}
                wrong += self._different(f"dead letter of {topic}", topic, each.at_ms, expected, letter)
        return wrong

    def _different(
        self, what: str, topic: str, at_ms: int, expected: Mapping[str, Any], found: Mapping[str, Any]
    ) -> list[str]:
        """Each field that is not as expected.

        Stream time is the record's own, or that of a later one of another topic that was taken before it.
        """
        wrong = [
            f"{what}: {name} is {found.get(name)!r}, not {value!r}"
            for name, value in expected.items()
            if found.get(name) != value
        ]
        at, own = found["at"], rfc3339(at_ms)
        others = [times for other, times in self._times.items() if other != topic]
        if at != own and not (at > own and any(at in times for times in others)):
            wrong.append(f"{what}: at is {at}, not {own}")
        return wrong


def _appended(append: AuditAppend) -> dict[str, Any]:
    source, payload = append.source, append.payload
    place = None
    if source is not msgspec.UNSET:
        place = f"{source.topic}/{source.partition}/{source.offset}"
        place += "" if source.index is msgspec.UNSET else f"/{source.index}"
    return {
        "tenant_id": append.tenant_id,
        "actor": append.actor,
        "action": append.action,
        "subject": append.subject,
        "outcome": append.outcome,
        "idempotency_key": append.idempotency_key,
        "occurred_at": append.at,
        "source": place,
        "digest": append.digest,
        "payload": None if payload is msgspec.UNSET else bytes(payload).decode(),
    }


def _rotation(record: ConsumerRecord) -> dict[str, Any]:
    rotate = _rotate(record.value)
    return {
        "tenant_id": None,
        "actor": rotate.actor,
        "action": "audit.rotate",
        "subject": f"key/{rotate.key_id}",
        "outcome": "ok",
        "occurred_at": rotate.at,
        "source": None,
        "digest": None,
        "payload": None,
    }


def _topic_and_offset(place: str) -> tuple[str, int]:
    topic, _, offset = place.split("/")
    return topic, int(offset)
