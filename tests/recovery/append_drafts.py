"""What the appending client is going to send to the audit log: a stream of drafts that a seed decides wholly."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from itertools import count
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.audit.messages import Rotate
from shieldx.domains.audit.tables import APPENDS, ROTATIONS
from shieldx.engine.tasks.codec import HOP, encode
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import AuditAppend, Coordinates
from tests.recovery.drafts import EXPECT, TENANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.engine.tasks.log import Header

REMEMBERED = 300
AGAIN_AFTER_RESTART = 10
PAYLOADS = [
    b'{"amount": 1.50, "note": "caf\xc3\xa9 \\u00e9 \\/"}',
    b'{"twice":1, "twice":2}',
    b'"a text with \\u0000 in it"',
    b"null",
    b"[1e3, -0, 12345678901234567890]",
]
SEALED = b'{"sealed":"A256GCM/1","key_id":"person/7","nonce":"bm9uY2U=","ciphertext":"c2VhbGVk"}'


class Fate(StrEnum):
    """What becomes of a record: chained, at home or after a hop, unless it was before; or set aside for this reason."""

    CHAIN = "chain"
    FORWARD = "forward"
    UNREADABLE = "unreadable"
    KEY_DIFFERS = "key_differs"
    MISPLACED = "misplaced"
    MISPLACED_AGAIN = "misplaced_again"
    RESERVED = "reserved_action"
    NOT_SEALED = "personal_not_sealed"
    UNKNOWN_KEY = "unknown_key"

    @property
    def chained(self) -> bool:
        return self in {Fate.CHAIN, Fate.FORWARD}


class AppendDraft(NamedTuple):
    """One record to be sent."""

    kind: str
    fate: Fate
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    append: AuditAppend | None = None
    headers: tuple[Header, ...] = ()
    times: int = 1
    """How often it is sent, without waiting for what becomes of the first."""

    @property
    def all_headers(self) -> list[Header]:
        """What it carries on its way."""
        return [(EXPECT, self.fate.value.encode()), *self.headers]


class AppendDrafts:
    """The stream of the client."""

    def __init__(self, seed: int, partitions: int) -> None:
        self._random = Random(f"{seed}/appends")  # noqa: S311 - to be repeated, not to be secret
        self._partitions = partitions
        self._ids = count()
        self._sent: deque[AppendDraft] = deque(maxlen=REMEMBERED)
        self._kinds: dict[Callable[[], AppendDraft], float] = {
            self._plain: 55,
            self._twice: 10,
            self._repeat: 12,
            self._conflict: 6,
            self._misplaced: 8,
            self._sealed: 2,
            self._not_sealed: 1.5,
            self._reserved: 2,
            self._broken: 4,
            self._key_differs: 1.5,
            self._hopped: 1.5,
        }

    def __iter__(self) -> Iterator[AppendDraft]:
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while True:
            (make,) = self._random.choices(kinds, weights)
            draft = make()
            if draft.fate.chained:
                self._sent.append(draft)
            yield draft

    def rotations(self, key_id: str) -> list[AppendDraft]:
        """Another key for every shard; and what must change none."""
        at = "2026-01-01T00:00:00Z"
        orders = [Rotate(partition=n, key_id=key_id, actor="operator", at=at) for n in range(self._partitions)]
        good = [self._rotation("rotation", Fate.CHAIN, order.partition, encode(order)) for order in orders]
        one = self._random.choice(orders)
        bad = [
            (Fate.UNKNOWN_KEY, one.partition, encode(msgspec.structs.replace(one, key_id="no-such-key"))),
            (Fate.MISPLACED, self._elsewhere(one.partition), encode(one)),
            (Fate.UNREADABLE, one.partition, b'{"type":"rotate"}'),
        ]
        mixed = [*good, *(self._rotation("bad rotation", *each) for each in bad)]
        self._random.shuffle(mixed)
        return mixed

    def after_restart(self) -> list[AppendDraft]:
        """What a client sends again that has forgotten what became of it."""
        last = list(self._sent)[-AGAIN_AFTER_RESTART:]
        return [draft._replace(kind="repeat after a restart", times=1) for draft in last]

    def _rotation(self, kind: str, fate: Fate, partition: int, value: bytes) -> AppendDraft:
        return AppendDraft(kind, fate, ROTATIONS, partition, None, value)

    # To be chained, if only once

    def _at_home(self, kind: str, append: AuditAppend) -> AppendDraft:
        tenant_id = append.tenant_id
        partition = home_partition(tenant_id, self._partitions)
        key = self._random.choice([tenant_id.encode()] * 9 + [None])
        return AppendDraft(kind, Fate.CHAIN, APPENDS, partition, key, encode(append), append)

    def _plain(self) -> AppendDraft:
        return self._at_home("append", self._append())

    def _twice(self) -> AppendDraft:
        return self._at_home("append, and repeat at once", self._append())._replace(times=2)

    def _repeat(self) -> AppendDraft:
        if not self._sent:
            return self._plain()
        return self._random.choice(self._sent)._replace(kind="repeat", times=1)

    def _conflict(self) -> AppendDraft:
        append = self._random.choice(self._sent).append if self._sent else None
        if append is None:
            return self._plain()
        changed: dict[str, str] = self._random.choice([{"outcome": "another"}, {"subject": "another"}, {"at": "later"}])
        return self._at_home("conflict", msgspec.structs.replace(append, **changed))

    def _misplaced(self) -> AppendDraft:
        draft = self._plain()
        return draft._replace(kind="misplaced", fate=Fate.FORWARD, partition=self._elsewhere(draft.partition))

    def _sealed(self) -> AppendDraft:
        return self._at_home("sealed", self._append(personal=True, payload=msgspec.Raw(SEALED)))

    # Not to be chained

    def _refused(self, kind: str, fate: Fate, append: AuditAppend) -> AppendDraft:
        return self._at_home(kind, append)._replace(fate=fate)

    def _not_sealed(self) -> AppendDraft:
        append = self._append(personal=True, payload=msgspec.Raw(b'{"name":"Ada"}'))
        return self._refused("not sealed", Fate.NOT_SEALED, append)

    def _reserved(self) -> AppendDraft:
        action = self._random.choice(["audit.rotate", "audit.", "audit.anything"])
        return self._refused("reserved action", Fate.RESERVED, self._append(action=action))

    def _broken(self) -> AppendDraft:
        append = self._append(payload=msgspec.Raw(b'"text"'))
        good = encode(append)
        values: dict[str, bytes | None] = {
            "append: tombstone": None,
            "append: empty": b"",
            "append: cut off": good[: self._random.randrange(1, len(good))],
            "append: not UTF-8": good.replace(b'"type":"', b'"type":"\xff'),
            "append: payload not UTF-8": good.replace(b'"text"', b'"te\xffxt"'),
            "append: unknown type": b'{"type":"forget","tenant_id":"org-1","idempotency_key":"k"}',
            "append: no subject": good.replace(b'"subject"', b'"object"'),
            "append: no tenant": good.replace(b'"tenant_id"', b'"tenant"'),
        }
        kind = self._random.choice(list(values))
        draft = self._refused(kind, Fate.UNREADABLE, append)
        return draft._replace(key=append.tenant_id.encode(), value=values[kind], append=None)

    def _key_differs(self) -> AppendDraft:
        key = self._random.choice([b"", b"\xff", b"someone-else"])
        partition = self._random.randrange(self._partitions)
        return self._plain()._replace(
            kind="append: key differs", fate=Fate.KEY_DIFFERS, partition=partition, key=key, append=None
        )

    def _hopped(self) -> AppendDraft:
        draft = self._plain()
        return draft._replace(
            kind="append: hopped before",
            fate=Fate.MISPLACED_AGAIN,
            partition=self._elsewhere(draft.partition),
            headers=((HOP, str(self._partitions).encode()),),
            append=None,
        )

    # Parts

    def _elsewhere(self, home: int) -> int:
        return (home + self._random.randrange(1, self._partitions)) % self._partitions

    def _append(self, **fields: object) -> AuditAppend:
        pick, number = self._random.choice, next(self._ids)
        sources = [Coordinates("elsewhere", 3, number), Coordinates("elsewhere", 3, number, 7)]
        given: dict[str, object] = {
            "tenant_id": pick(TENANTS),
            "idempotency_key": f"own-{number}",
            "actor": pick(["someone@example.org", "ünïcode", "", None]),
            "action": pick(["user.login", "file.read", "auditing"]),
            "subject": pick([f"user/{number}", "nul \0 in it", "🗝"]),
            "outcome": pick(["ok", "denied", ""]),
            "digest": pick([None, "", "0" * 64]),
            "source": pick([msgspec.UNSET, *sources]),
            "at": pick(["2026-01-01T12:00:00Z", "yesterday"]),
            "payload": pick([msgspec.UNSET, *(msgspec.Raw(payload) for payload in PAYLOADS)]),
        }
        return AuditAppend(**(given | fields))  # type: ignore[arg-type]
