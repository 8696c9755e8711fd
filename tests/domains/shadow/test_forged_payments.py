"""What a client tries that writes to the topics of agents too: no evaluation for less than its price."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.domains.credits import tables as ledger
from shieldx.domains.credits.messages import Abort, Batch, Code, Commit, Consume, Purchase, Reserve
from shieldx.domains.shadow import tables
from shieldx.engine.tasks.signatures import SIGNATURE, VALID_MS
from shieldx.messages import DEAD_LETTERS
from tests.domains.shadow.shadow_world import TENANT, ShadowWorld, samples

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command
    from shieldx.engine.testing.memory_log import MemoryRecord

PRICE = 50
"""For 1,000 samples; the 150 of the world's set cost 8."""
ANSWERED = [("reply-to", tables.PAYMENTS.encode())]


@pytest.fixture
async def world() -> ShadowWorld:
    """A world with a price, 150 samples and 100 credits."""
    world = ShadowWorld(price_per_1000=PRICE)
    await world.import_samples(samples(30, 120))
    await world.purchase(100)
    return world


def foreseen_token(request: Any) -> str:
    """What a client can compute from what the broker tells its producer, as tokens once were computed."""
    place = f"{request.topic}/{request.partition}/{request.offset}/{request.timestamp}"
    return sha256(place.encode() + (request.value or b"")).hexdigest()[:16]


async def forge(world: ShadowWorld, *commands: Command) -> None:
    """Have the ledger answer a client's commands, and send each answer to the agent."""
    for command in commands:
        world.ledger.send(ledger.COMMANDS, command, headers=ANSWERED)
    await world.ledger.run()


def codes(world: ShadowWorld, key: str) -> list[Code]:
    """What the ledger has answered under a key."""
    return [it.code for it in world.ledger.messages(ledger.RESULTS) if it.idempotency_key == key]


async def paid_in_full(world: ShadowWorld) -> None:
    """Settle everything; then the one evaluation has its report, and the ledger its credits."""
    await world.settle()
    assert [(it.status, it.charge.status) for it in world.reports()] == [("completed", "committed")]
    assert (world.held(), world.spent()) == (0, 8)


async def test_who_reserves_one_credit_first_pays_in_full(world: ShadowWorld) -> None:
    world.ask(eval_id="a")
    (request,) = world.shadow.read(tables.EVALUATIONS)
    reservation = f"shadow/a/{foreseen_token(request)}"
    forged = Reserve(
        tenant_id=TENANT, idempotency_key=f"{reservation}/reserve", amount=1, reservation_id=reservation, ttl_s=3600
    )
    await forge(world, forged)
    assert codes(world, forged.idempotency_key) == [Code.RESERVED_NAME]
    await paid_in_full(world)


async def asked(world: ShadowWorld) -> Reserve:
    """Ask, and read what the agent has sent to the ledger, which has not seen it yet."""
    world.ask(eval_id="a")
    await world.shadow.run()
    (reserve,) = world.commands()
    assert isinstance(reserve, Reserve)
    return reserve


async def test_the_token_is_nothing_that_a_client_could_compute(world: ShadowWorld) -> None:
    token = (await asked(world)).reservation_id.rpartition("/")[2]
    (request,) = world.shadow.read(tables.EVALUATIONS)
    place = f"{request.topic}/{request.partition}/{request.offset}/{request.timestamp}"
    public = (place.encode(), (request.value or b""), place.encode() + (request.value or b""))
    assert len(token) == 32
    assert token not in {sha256(known).hexdigest()[:32] for known in public}


async def test_who_knows_the_token_still_reserves_nothing_under_it(world: ShadowWorld) -> None:
    """In the log the client's record may even come first: it has read the agent's before it was committed."""
    reserve = await asked(world)
    less = msgspec.structs.replace(reserve, amount=1)
    await forge(world, less, msgspec.structs.replace(less, idempotency_key="mine"), reserve)
    assert codes(world, reserve.idempotency_key) == [Code.RESERVED_NAME] * 2
    assert codes(world, "mine") == [Code.RESERVED_NAME]
    await paid_in_full(world)


@pytest.mark.parametrize("name", ["abort", "commit", "extend", "batch", "key"])
async def test_nobody_else_ends_extends_or_spends_its_hold_or_uses_its_keys(world: ShadowWorld, name: str) -> None:
    held = (await asked(world)).reservation_id
    await world.pay()
    mine: dict[str, Any] = {"tenant_id": TENANT, "idempotency_key": "mine"}
    forged: Command = {
        "abort": Abort(**mine, reservation_id=held),
        "commit": Commit(**mine, reservation_id=held, amount=1),
        "extend": Reserve(**mine, reservation_id=held, amount=1, ttl_s=3600),
        "batch": Batch(
            tenant_id=TENANT,
            idempotency_key="whole",
            atomic=False,
            commands=[Consume(tenant_id=TENANT, idempotency_key="a", amount=1), Abort(**mine, reservation_id=held)],
        ),
        "key": Consume(tenant_id=TENANT, idempotency_key=f"{held}/commit", amount=1),
    }[name]
    await forge(world, forged)
    assert codes(world, forged.idempotency_key) == [Code.RESERVED_NAME]
    assert [it.reason for it in world.ledger.messages(DEAD_LETTERS)] == ["reserved_name"]
    await paid_in_full(world)


async def test_a_refused_name_is_in_the_audit_log_and_its_result_answers_no_command_of_the_agent(
    world: ShadowWorld,
) -> None:
    reserve = await asked(world)
    await forge(world, reserve)
    (refused,) = [it for it in world.ledger.messages(ledger.RESULTS) if it.code is Code.RESERVED_NAME]
    assert (refused.amount, refused.command_digest, refused.replayed) == (8, msgspec.UNSET, False)
    entry = world.ledger.messages(tables.AUDIT)[-1]
    assert (entry.action, entry.outcome) == ("credits.reserve", "reserved_name")


def copied(world: ShadowWorld, record: MemoryRecord, **changed: Any) -> None:
    given: dict[str, Any] = {"value": record.value, "key": record.key, "headers": record.headers} | changed
    world.ledger.send(ledger.COMMANDS, given.pop("value"), **given)


async def test_a_copy_of_a_signed_command_says_nothing_new(world: ShadowWorld) -> None:
    """Within a day it is a repetition; after that it is refused, for the ledger has forgotten what it answered."""
    await asked(world)
    await world.pay()
    (reserve,) = world.shadow.read(ledger.COMMANDS)
    copied(world, reserve)
    await paid_in_full(world)
    _, commit = world.shadow.read(ledger.COMMANDS)
    for after_ms in (0, VALID_MS, 1, 26 * 3_600_000):
        world.advance(after_ms)
        copied(world, reserve)
        copied(world, commit)
        await world.pay()
    await paid_in_full(world)
    key = msgspec.json.decode(commit.value or b"", type=Commit).idempotency_key
    assert codes(world, key) == [Code.OK] * 3 + [Code.RESERVED_NAME] * 2
    assert {it.reason for it in world.dead_letters()} == {"reserved_name"}


async def test_a_copy_of_a_signed_command_for_another_tenant_is_refused(world: ShadowWorld) -> None:
    await asked(world)
    (reserve,) = world.shadow.read(ledger.COMMANDS)
    await world.purchase(100, tenant_id="org-456")
    value = (reserve.value or b"").replace(TENANT.encode(), b"org-456")
    copied(world, reserve, value=value, key=b"org-456")
    await paid_in_full(world)
    assert (world.held("org-456"), world.spent("org-456")) == (0, 0)


async def test_without_the_credits_no_answer_of_a_client_s_own_begins_it() -> None:
    """The client has the ledger sign answers to commands of its own, and writes unsigned ones itself."""
    poor = ShadowWorld(price_per_1000=PRICE * 100)
    await poor.import_samples(samples(30, 120))
    await poor.purchase(1)
    reserve = await asked(poor)
    await forge(poor, Reserve(tenant_id=TENANT, idempotency_key="mine", amount=1, reservation_id="mine", ttl_s=60))
    answer = poor.ledger.read(tables.PAYMENTS)[-1]
    poor.answer(reserve, Code.OK, signed=False)
    (forged,) = poor.shadow.read(tables.PAYMENTS)
    poor.shadow.send(tables.PAYMENTS, forged.value, key=forged.key, headers=answer.headers)
    await poor.settle()
    assert [(it.status, it.code) for it in poor.reports()] == [("refused", "payment_refused")]
    assert poor.shadow.read(tables.BATCHES) == []
    letters = [it.reason for it in poor.shadow.messages(DEAD_LETTERS)]
    assert letters == ["not_signed", "not_signed", "not_a_payment"]


async def test_only_the_answer_to_the_step_that_was_sent_counts(world: ShadowWorld) -> None:
    """All of these are signed: answers to other commands under the right keys, and to steps that were not taken."""
    reserve = await asked(world)
    commit = Commit(
        tenant_id=TENANT,
        idempotency_key=reserve.idempotency_key.replace("/reserve", "/commit"),
        reservation_id=reserve.reservation_id,
        amount=8,
    )
    world.answer(msgspec.structs.replace(reserve, amount=1), Code.OK)
    world.answer(Purchase(tenant_id=TENANT, idempotency_key=reserve.idempotency_key, amount=8), Code.OK)
    world.answer(commit, Code.OK)
    await world.shadow.run()
    assert (world.batches(), world.reports()) == ([], [])
    await world.pay()
    world.answer(commit, Code.OK)
    for batch in world.batches():
        world.score(batch)
    await world.shadow.run()
    world.answer(msgspec.structs.replace(commit, amount=1), Code.OK)
    world.answer(reserve, Code.OK)
    await world.shadow.run()
    assert world.reports() == []
    await paid_in_full(world)


async def test_what_the_agent_sends_is_signed_and_what_the_ledger_answers_too(world: ShadowWorld) -> None:
    await world.evaluate(eval_id="a")
    for topic in (ledger.COMMANDS, tables.PAYMENTS):
        assert [SIGNATURE in dict(it.headers) for it in world.shadow.read(topic)] == [True, True]
    for topic in (tables.REPORTS, tables.BATCHES, tables.AUDIT):
        assert not any(SIGNATURE in dict(it.headers) for it in world.shadow.read(topic))
