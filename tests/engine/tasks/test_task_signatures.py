"""Names that belong to an agent may be used by that agent alone, in a topic that anybody may write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.codec import HOP
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.pending_transaction import MAX_CONTEXT_BYTES, OVERHEAD_BYTES, headers_bytes
from shieldx.engine.tasks.signatures import SIGNATURE, VALID_MS, Signature
from shieldx.engine.testing.driver import KEYS, AgentDriver, DriverKeys
from shieldx.messages import DEAD_LETTERS, Output
from tests.engine.counter_agent import (
    ADDS,
    MORE_ADDS,
    TOPICS,
    TOTALS,
    Add,
    CounterFold,
    Total,
    counter,
    reasons,
    totals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.engine.testing.memory_log import MemoryRecord
    from shieldx.messages import Source

Headers = list[tuple[str, bytes]]
BATCH_BYTES = 100
"""More than Kafka adds to a record in a batch of its own."""
ASKS, ANSWERS, ITS_OWN = "shop.asks", "shop.answers", "shop/acme"
OURS = Add(tenant_id=ITS_OWN)


class BankFold(CounterFold):
    """Sums, and a total of -1 for whoever uses a name of the shop's."""

    def refuse_reserved(self, message: Add, source: Source) -> list[Output]:
        return [Output(TOTALS, message.tenant_id, Total(message.tenant_id, -1, source.at_ms))]


class ShopFold:
    """Asks the bank to add what it is asked to, under a name of its own."""

    def __init__(self, _: Any) -> None:
        self.answered: list[int] = []

    def apply(self, message: Add | Total, source: Source) -> list[Output]:  # noqa: ARG002 - as every fold
        if isinstance(message, Total):
            self.answered.append(message.total)
            return []
        return [Output(ADDS, message.tenant_id, message, reply_to=ANSWERS)]


def declared(**fields: Any) -> Topic:
    return msgspec.convert(
        {"about": "", "key": "tenant_id", "cleanup": "delete", "timestamps": "broker"} | fields, Topic
    )


ADD, TOTAL = (
    {"counter.add/1": "tests.engine.counter_agent:Add"},
    {"counter.total/1": "tests.engine.counter_agent:Total"},
)
SHARED = TOPICS | {
    ADDS: declared(writers="clients", messages=ADD),
    MORE_ADDS: declared(writers="clients", messages=ADD),
    ASKS: declared(messages=ADD),
    ANSWERS: declared(accepts_replies=True, signed_by=["bank"], messages=TOTAL),
}
bank = replace(
    counter,
    name="bank",
    reads=(ADDS, MORE_ADDS),
    fold=BankFold,
    names=lambda add: (add.tenant_id,),
    reserved={ADDS: ("shop", "market"), MORE_ADDS: ("shop",)},
)
shop = TransactionalAgent(name="shop", reads=(ASKS, ANSWERS), writes=(ADDS,), fold=ShopFold)


def driver(agent: TransactionalAgent, **options: Any) -> AgentDriver:
    return AgentDriver(agent, SHARED, **options)


async def signed(add: Add = OURS, **options: Any) -> MemoryRecord:
    """What the shop writes."""
    ran = driver(shop, **options)
    ran.send(ASKS, add)
    await ran.run()
    (record,) = ran.read(ADDS)
    return record


def deliver(ran: AgentDriver, record: MemoryRecord, **changed: Any) -> None:
    """Append a record as it is, but for what is changed."""
    given: dict[str, Any] = {"topic": record.topic, "value": record.value, "key": record.key, "headers": record.headers}
    given |= changed
    ran.send(given.pop("topic"), given.pop("value"), **given)


def forged(record: MemoryRecord, **changed: Any) -> Headers:
    """The headers of a record with another signature."""
    signature = msgspec.json.decode(dict(record.headers)[SIGNATURE], type=Signature)
    return with_signature(record, msgspec.json.encode(msgspec.structs.replace(signature, **changed)))


def with_signature(record: MemoryRecord, content: bytes) -> Headers:
    return [(name, content if name == SIGNATURE else before) for name, before in record.headers]


def without(headers: Sequence[tuple[str, bytes]], name: str) -> Headers:
    return [header for header in headers if header[0] != name]


def details(ran: AgentDriver) -> list[str]:
    return [letter.detail for letter in ran.messages(DEAD_LETTERS)]


async def test_what_an_agent_writes_under_its_name_is_answered_to_it_alone() -> None:
    ran, asking = driver(bank), driver(shop)
    deliver(ran, await signed())
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1], [])
    (answer,) = ran.read(ANSWERS)
    deliver(asking, answer)
    await asking.run()
    assert (asking.tasks[0]._state.fold.answered, reasons(asking)) == ([1], [])  # type: ignore[attr-defined] # noqa: SLF001 - what it was told


async def test_without_a_signature_its_names_are_refused_with_an_answer_and_a_dead_letter() -> None:
    ran = driver(bank)
    ran.send(ADDS, OURS, headers=[("reply-to", b"replies")])
    ran.send(ADDS, Add(tenant_id="shop"))
    ran.send(ADDS, Add(tenant_id="shops/acme"))
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([-1, 1, 1], ["reserved_name"])
    assert details(ran) == [
        "names that begin with `shop/` are reserved for agent shop, and the record has no signature"
    ]
    assert [message.total for message in ran.messages("replies")] == [-1]


async def test_a_fold_that_does_not_answer_refusals_never_sees_them() -> None:
    ran = driver(replace(bank, fold=CounterFold))
    ran.send(ADDS, OURS)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([], ["reserved_name"])


@pytest.mark.parametrize(
    "changed",
    [
        {"value": b'{"type":"add","tenant_id":"shop/acme","amount":2}'},
        {"value": b'{"type":"add","tenant_id":"shop/beta"}', "key": b"shop/beta"},
        {"key": None},
        {"topic": MORE_ADDS},
    ],
    ids=["another value", "another tenant", "no key", "another topic"],
)
async def test_a_signature_is_for_one_record(changed: dict[str, Any]) -> None:
    ran = driver(bank)
    deliver(ran, await signed(), **changed)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([-1], ["reserved_name"])
    assert details(ran)[0].endswith("its signature does not match")


@pytest.mark.parametrize("reply_to", [[], [("reply-to", b"replies")]], ids=["nowhere", "elsewhere"])
async def test_a_signature_is_for_one_place_of_the_answer(reply_to: Headers) -> None:
    ran, record = driver(bank), await signed()
    deliver(ran, record, headers=[*without(record.headers, "reply-to"), *reply_to])
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([-1], ["reserved_name"])


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        ({"mac": "0" * 64}, "its signature does not match"),
        ({"mac": "\u00e9"}, "its signature does not match"),
        ({"at_ms": 0}, "its signature does not match"),
        ({"agent": "market"}, "its signature does not match"),
        ({"key_id": "x" * 500}, f"key {'x' * 64!r}, which signed it, is not in this worker's platform keyring"),
        ({"version": 2}, "its signature has version 2; this release reads 1"),
    ],
    ids=["mac", "mac that is not ASCII", "time", "agent", "key", "version"],
)
async def test_a_signature_that_somebody_has_changed_is_none(changed: dict[str, Any], detail: str) -> None:
    ran, record = driver(bank), await signed()
    deliver(ran, record, headers=forged(record, **changed))
    await ran.run()
    assert totals(ran) == [-1]
    assert details(ran)[0].endswith(f", and {detail}")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"version":1}', b'{"agent":"\\ud800"}'])
async def test_a_signature_that_cannot_be_read_is_none(content: bytes) -> None:
    ran, record = driver(bank), await signed()
    deliver(ran, record, headers=with_signature(record, content))
    await ran.run()
    assert totals(ran) == [-1]
    assert details(ran)[0].endswith(", and its signature cannot be read")


async def test_a_name_is_its_own_agent_s_only() -> None:
    """The shop has signed it, and it speaks of the market."""
    ran = driver(bank)
    deliver(ran, await signed(Add(tenant_id="market/acme")))
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([-1], ["reserved_name"])
    assert details(ran)[0].endswith("are reserved for agent market, and agent shop signed it")


async def test_a_copy_says_the_same_again_and_only_while_receivers_remember_what_was_said() -> None:
    ran, record = driver(bank), await signed()
    deliver(ran, record)
    ran.advance(VALID_MS)
    deliver(ran, record)
    ran.advance(1)
    deliver(ran, record)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1, 2, -1], ["reserved_name"])
    assert details(ran)[0].endswith("its signature is 43200 s old by stream time")


async def test_a_signature_from_the_future_is_none() -> None:
    ran, record = driver(bank), await signed()
    ran.advance(-VALID_MS - 1)
    deliver(ran, record)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([-1], ["reserved_name"])


async def test_a_signed_record_that_is_misplaced_is_forwarded_with_its_signature() -> None:
    ran = driver(bank, partitions=4)
    deliver(ran, await signed(), partition=(home_partition(ITS_OWN, 4) + 1) % 4)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1], [])
    assert [HOP in dict(record.headers) for record in ran.read(ADDS)].count(True) == 1


async def test_after_a_rotation_the_new_key_signs_and_old_ones_still_verify() -> None:
    old, both = DriverKeys({"old": b"o" * 32}), DriverKeys({"new": b"n" * 32, "old": b"o" * 32})
    before, after = await signed(keys=old), await signed(keys=both)
    ran, behind = driver(bank, keys=both), driver(bank, keys=old)
    for record in (before, after):
        deliver(ran, record)
        deliver(behind, record)
    await ran.run()
    await behind.run()
    assert (totals(ran), totals(behind)) == ([1, 2], [1, -1])
    assert "key 'new', which signed it, is not in this worker's platform keyring" in details(behind)[0]


async def test_without_keys_nothing_is_signed_and_no_signature_counts() -> None:
    ran, record = driver(bank, keys=None), await signed(keys=None)
    assert SIGNATURE not in dict(record.headers)
    deliver(ran, await signed())
    ran.send(ADDS, Add(tenant_id="acme"))
    await ran.run()
    assert totals(ran) == [-1, 1]
    assert details(ran)[0].endswith("this worker has no platform keyring to check its signature with")


async def answer(agent: TransactionalAgent, topics: dict[str, Topic], **options: Any) -> list[MemoryRecord]:
    """What an agent answers to the shop."""
    ran = AgentDriver(agent, topics, **options)
    deliver(ran, await signed())
    await ran.run()
    return ran.read(ANSWERS)


async def test_a_topic_with_signers_takes_only_what_these_have_signed() -> None:
    market = replace(bank, name="market")
    elsewhere = SHARED | {ANSWERS: msgspec.structs.replace(SHARED[ANSWERS], signed_by=("market",))}
    (right,), (unsigned,), (other,) = (
        await answer(bank, SHARED),
        await answer(bank, SHARED | {ANSWERS: declared(accepts_replies=True, messages=TOTAL)}),
        await answer(market, elsewhere),
    )
    ran = driver(shop)
    for record in (right, unsigned, other):
        deliver(ran, record)
    await ran.run()
    assert reasons(ran) == ["not_signed", "not_signed"]
    assert details(ran) == ["the record has no signature", "agent market signed it"]


async def test_who_is_no_signer_of_a_topic_does_not_reply_there() -> None:
    ran = driver(replace(bank, name="market"))
    deliver(ran, await signed())
    await ran.run()
    assert (totals(ran), reasons(ran), ran.read(ANSWERS)) == ([1], ["reply_to_refused"], [])


async def test_a_signature_fits_into_what_is_kept_free_for_headers() -> None:
    """With the longest id that a keyring may have, of characters of four bytes, and the largest context."""
    keys = DriverKeys({"\U00010348" * 256: b"k" * 32})
    ran = driver(shop, keys=keys)
    ran.send(ASKS, OURS, headers=[("correlation-id", b"c" * (MAX_CONTEXT_BYTES - 20))])
    await ran.run()
    (record,) = ran.read(ADDS)
    assert headers_bytes(record.headers) + BATCH_BYTES < OVERHEAD_BYTES


def test_drivers_share_their_keys() -> None:
    assert KEYS.first in KEYS
