"""What one client is going to send: a stream of drafts that a seed decides wholly."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from itertools import count
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits.messages import Abort, Batch, Command, Commit, Consume, Purchase, Refund, Reserve, Single
from shieldx.engine.tasks.codec import CORRELATION_ID, HOP, REPLY_TO, encode
from shieldx.engine.tasks.partitioner import home_partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.engine.tasks.log import Header

EXPECT = "expect"
"""The header by which a sender says what shall become of a record; the engine knows nothing of it."""

TENANTS = ["a/b", "a%2Fb", "ünïcode", "c d", *(f"org-{number}" for number in range(56))]
STRANGERS = ["nobody-1", "nobody-2", "nobody-3", "nobody-4"]
REMEMBERED = 400


class Expect(StrEnum):
    """What becomes of a record: an answer, at home or after a hop, or a dead letter for this reason."""

    ANSWER = "answer"
    FORWARD = "forward"
    UNREADABLE = "unreadable"
    KEY_DIFFERS = "key_differs"
    MISPLACED_AGAIN = "misplaced_again"

    @property
    def answered(self) -> bool:
        return self in {Expect.ANSWER, Expect.FORWARD}


class Draft(NamedTuple):
    """One record to be sent. `refund_of` and `repeat_of` are numbers of earlier drafts of the same client."""

    number: int
    kind: str
    expect: Expect
    partition: int
    key: bytes | None
    value: bytes | None
    command: Command | None = None
    headers: tuple[Header, ...] = ()
    refund_of: int | None = None
    """Its transaction id is to be filled in: the broker decides on it."""
    repeat_of: int | None = None
    """Send the very same record again."""


class Drafts:
    """The stream of one client."""

    def __init__(self, seed: int, client: int, partitions: int) -> None:
        self._random = Random(f"{seed}/client/{client}")  # noqa: S311 - to be repeated, not to be secret
        self._client = client
        self._partitions = partitions
        self._ids = count()
        self._sent: deque[Draft] = deque(maxlen=REMEMBERED)
        self._spendings: deque[Draft] = deque(maxlen=REMEMBERED)
        self._holds: deque[tuple[str, str]] = deque(maxlen=60)
        self._kinds: dict[Callable[[int], Draft], float] = {
            self._single: 88,
            self._batch: 4,
            self._refund: 5,
            self._repeat: 4,
            self._conflict: 1.5,
            self._misplaced: 2,
            self._keyless: 1,
            self._with_reply: 1,
            self._broken: 1.5,
            self._key_differs: 0.7,
            self._hopped: 0.5,
        }

    def __iter__(self) -> Iterator[Draft]:
        numbers = count()
        for tenant_id in self._random.sample(TENANTS, len(TENANTS)):
            yield self._keep(self._at_home(next(numbers), self._purchase(tenant_id, 20_000)))
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while True:
            (kind,) = self._random.choices(kinds, weights)
            yield self._keep(kind(next(numbers)))

    def _keep(self, draft: Draft) -> Draft:
        if draft.repeat_of is None:
            self._sent.append(draft)
            if isinstance(draft.command, Consume | Commit) and draft.expect is Expect.ANSWER:
                self._spendings.append(draft)
        return draft

    # Commands at home

    def _at_home(self, number: int, command: Command, kind: str | None = None) -> Draft:
        tenant_id = command.tenant_id
        return Draft(
            number,
            kind or type(command).__name__.lower(),
            Expect.ANSWER,
            home_partition(tenant_id, self._partitions),
            tenant_id.encode(),
            encode(command),
            command,
        )

    def _single(self, number: int) -> Draft:
        return self._at_home(number, self._command(self._tenant()))

    def _batch(self, number: int) -> Draft:
        tenant_id = self._tenant()
        size = self._random.choice([1, 2, 3, 5, 8, 40])
        batch = Batch(
            tenant_id=tenant_id,
            idempotency_key=self._id("batch"),
            actor="worker@example.org",
            commands=[self._command(tenant_id) for _ in range(size)],
            atomic=self._random.random() < 0.5,
        )
        return self._at_home(number, batch)

    def _refund(self, number: int) -> Draft:
        if not self._spendings:
            return self._single(number)
        spent = self._random.choice(self._spendings)
        assert spent.command is not None
        refund = Refund(
            tenant_id=spent.command.tenant_id,
            idempotency_key=self._id("refund"),
            transaction_id="filled in",
            amount=self._random.choice([None, 1, 5, 100]),
        )
        return self._at_home(number, refund)._replace(refund_of=spent.number)

    def _repeat(self, number: int) -> Draft:
        first = self._random.choice(self._sent)
        return first._replace(number=number, kind="repeat", repeat_of=first.number)

    def _conflict(self, number: int) -> Draft:
        command = self._random.choice(self._sent).command
        if command is None or isinstance(command, Refund | Batch):
            return self._single(number)
        changed = msgspec.structs.replace(command, description="another")
        return self._at_home(number, changed, "conflict")

    # Misplaced and odd, but good

    def _misplaced(self, number: int) -> Draft:
        draft = self._single(number)
        return draft._replace(
            kind="misplaced",
            expect=Expect.FORWARD,
            partition=self._elsewhere(draft.partition),
            key=self._random.choice([draft.key, None]),
        )

    def _keyless(self, number: int) -> Draft:
        return self._single(number)._replace(kind="keyless", key=None)

    def _with_reply(self, number: int) -> Draft:
        topic = self._random.choice([b"replies", b"replies", b"replies", b"no-such-topic"])
        return self._single(number)._replace(kind="reply-to", headers=((REPLY_TO, topic),))

    # Not to be answered

    def _broken(self, number: int) -> Draft:
        tenant_id = self._tenant()
        good = encode(self._command(tenant_id))
        stranger = encode(self._command("another"))
        values: dict[str, bytes | None] = {
            "tombstone": None,
            "empty": b"",
            "cut off": good[: self._random.randrange(1, len(good))],
            "not UTF-8": good.replace(b'"type":"', b'"type":"\xff'),
            "unknown type": b'{"type":"steal","tenant_id":"org-1","idempotency_key":"k"}',
            "no amount": encode({"type": "consume", "tenant_id": tenant_id, "idempotency_key": self._id("x")}),
            "amount of text": encode(
                {"type": "consume", "tenant_id": tenant_id, "idempotency_key": self._id("x"), "amount": "7"}
            ),
            "another tenant inside": encode(
                {"type": "batch", "tenant_id": tenant_id, "idempotency_key": self._id("x"), "atomic": True}
                | {"commands": [msgspec.Raw(stranger)]}
            ),
        }
        kind = self._random.choice(list(values))
        partition = self._random.randrange(self._partitions)
        return Draft(number, kind, Expect.UNREADABLE, partition, tenant_id.encode(), values[kind])

    def _key_differs(self, number: int) -> Draft:
        draft = self._single(number)
        partition = self._random.randrange(self._partitions)
        key = self._random.choice([b"", b"\xff", b"someone-else"])
        return draft._replace(kind="key differs", expect=Expect.KEY_DIFFERS, partition=partition, key=key, command=None)

    def _hopped(self, number: int) -> Draft:
        draft = self._single(number)
        return draft._replace(
            kind="hopped before",
            expect=Expect.MISPLACED_AGAIN,
            partition=self._elsewhere(draft.partition),
            headers=((HOP, str(self._partitions).encode()),),
            command=None,
        )

    # Parts

    def _elsewhere(self, home: int) -> int:
        return (home + self._random.randrange(1, self._partitions)) % self._partitions

    def _tenant(self) -> str:
        if self._random.random() < 0.01:
            return self._random.choice(STRANGERS)
        return TENANTS[min(self._random.randrange(len(TENANTS)), self._random.randrange(len(TENANTS)))]

    def _id(self, what: str) -> str:
        return f"{what}-{self._client}-{next(self._ids)}"

    def _command(self, tenant_id: str) -> Single:
        makers: list[Callable[[str], Single]] = [
            self._consume,
            self._purchase,
            self._reserve,
            self._commit,
            self._abort,
        ]
        (make,) = self._random.choices(makers, [50, 14, 16, 10, 4])
        return make(tenant_id)

    def _consume(self, tenant_id: str) -> Consume:
        amount = self._random.choice([*range(1, 60), 0, -1, 10**6])
        return Consume(tenant_id=tenant_id, idempotency_key=self._id("consume"), amount=amount, description="tokens")

    def _purchase(self, tenant_id: str, amount: int | None = None) -> Purchase:
        return Purchase(
            tenant_id=tenant_id,
            idempotency_key=self._id("purchase"),
            actor="someone@example.org",
            amount=amount or self._random.randrange(1, 200),
        )

    def _reserve(self, tenant_id: str) -> Reserve:
        reservation_id = self._id("hold")
        self._holds.append((tenant_id, reservation_id))
        return Reserve(
            tenant_id=tenant_id,
            idempotency_key=reservation_id,
            amount=self._random.randrange(1, 80),
            reservation_id=reservation_id,
            ttl_s=self._random.choice([1, 1, 2, 2, 3, 3, 3, 0]),
        )

    def _commit(self, tenant_id: str) -> Commit:
        return Commit(
            tenant_id=tenant_id,
            idempotency_key=self._id("commit"),
            reservation_id=self._hold_of(tenant_id),
            amount=self._random.choice([None, 1, 10, 50]),
            final=self._random.random() < 0.6,
        )

    def _abort(self, tenant_id: str) -> Abort:
        return Abort(tenant_id=tenant_id, idempotency_key=self._id("abort"), reservation_id=self._hold_of(tenant_id))

    def _hold_of(self, tenant_id: str) -> str:
        """One of the tenant's last holds, open or not."""
        own = [reservation_id for owner, reservation_id in self._holds if owner == tenant_id]
        return self._random.choice(own) if own else self._id("no-hold")


def headers_of(draft: Draft, correlation_id: bytes) -> list[Header]:
    """What a record carries on its way."""
    return [(CORRELATION_ID, correlation_id), (EXPECT, draft.expect.value.encode()), *draft.headers]
