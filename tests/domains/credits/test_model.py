"""The ledger and a plain model of it, side by side under random commands, times and restarts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shieldx.domains.credits.messages import (
    Abort,
    Batch,
    Code,
    Command,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
    Result,
    Single,
)
from tests.dict_store import DictStore
from tests.domains.credits.driver import Driver
from tests.domains.credits.plain_ledger import (
    AMOUNT_LIMIT,
    DAY_MS,
    HOUR_MS,
    REFUND_WINDOW_MS,
    TTL_MAX_S,
    PlainLedger,
    forgotten_at_ms,
)
from tests.domains.open_partition import OpenPartition, credits_partition
from tests.lengths import length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.messages import Output
    from shieldx.state.table import Change

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", length(short=200, soak=10_000)))
PARTITION = 3

# Few names, so that commands interact; placeholders replace values that only a run knows.
NEW_KEY = "new"
RECENT = "recent/"
OWN_BATCH = "own-batch/"
OPEN_HOLD = "open-hold"


class Edge(NamedTuple):
    """Just before, at or just after a moment at which the model expires or forgets something."""

    pick: int
    offset_ms: int


tenant_ids = st.sampled_from(["acme"] * 5 + ["beta"])
keys = st.sampled_from([NEW_KEY] * 6 + ["k0", "k1", "k2"])
actors = st.sampled_from([None, None, "alice"])
descriptions = st.sampled_from(["", "", "x"])
reservation_ids = st.sampled_from(["r0", "r1", "r2"])
held_ids = st.sampled_from([OPEN_HOLD, OPEN_HOLD, OPEN_HOLD, "r0", "r1"])
amounts = st.sampled_from([1, 2, 3, 3, 5, 5, 8, 8, 13, 40, 100, 500, 0, -1, AMOUNT_LIMIT - 1, AMOUNT_LIMIT])
large_amounts = st.sampled_from([100, 100, 1000, 1000, 5, 0, AMOUNT_LIMIT - 1001, AMOUNT_LIMIT])
small_amounts = st.sampled_from([None, None, None, 1, 1, 2, 2, 3, 5, 8, 0, AMOUNT_LIMIT])
ttls_s = st.sampled_from([1, 10, 10, 3600, 3600, 3600, 86_400, 86_400, TTL_MAX_S, TTL_MAX_S, 0, TTL_MAX_S + 1])
transaction_ids = st.sampled_from(
    [f"{RECENT}{age}" for age in (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)]
    + [f"{OWN_BATCH}0", f"{OWN_BATCH}1", f"{PARTITION}-0", "0-0", "03-0", f"{PARTITION}-0-", "", "x"]
)
steps_ms = st.one_of(
    st.just(0),
    st.just(0),
    st.sampled_from([1, 999, 1000, 60_000, HOUR_MS, 6 * HOUR_MS, DAY_MS, 12 * DAY_MS]),
    st.builds(Edge, st.integers(0, 5), st.integers(-1, 1)),
)

purchases = st.builds(
    Purchase,
    tenant_id=tenant_ids,
    idempotency_key=keys,
    actor=actors,
    amount=large_amounts,
    description=descriptions,
)
consumes = st.builds(Consume, tenant_id=tenant_ids, idempotency_key=keys, amount=amounts, description=descriptions)
reserves = st.builds(
    Reserve,
    tenant_id=tenant_ids,
    idempotency_key=keys,
    actor=actors,
    amount=amounts,
    reservation_id=reservation_ids,
    ttl_s=ttls_s,
)
commits = st.builds(
    Commit,
    tenant_id=tenant_ids,
    idempotency_key=keys,
    reservation_id=held_ids,
    amount=small_amounts,
    final=st.booleans(),
)
aborts = st.builds(Abort, tenant_id=tenant_ids, idempotency_key=keys, reservation_id=held_ids, description=descriptions)
refunds = st.builds(
    Refund, tenant_id=tenant_ids, idempotency_key=keys, transaction_id=transaction_ids, amount=small_amounts
)
singles = st.sampled_from(
    [purchases, consumes, consumes, reserves, reserves, reserves, commits, commits, aborts, refunds, refunds]
).flatmap(lambda kind: kind)


def by_topic(outputs: list[Output]) -> dict[str, list[Output]]:
    """Order counts within a topic only."""
    return {
        topic: [output for output in outputs if output.topic == topic]
        for topic in sorted({output.topic for output in outputs})
    }


class Both:
    """The ledger and the model at the same place in the log."""

    def __init__(
        self, max_result_bytes: int = 1_000_000, expire_limit: int = 1000, store: DictStore | None = None
    ) -> None:
        self.max_result_bytes = max_result_bytes
        self.store = store
        self.flushed = 0
        """How many of the changes the store has taken."""
        self.model = PlainLedger(PARTITION, max_result_bytes)
        self.modelled = Driver(self.model, PARTITION, expire_limit)
        self.actual = Driver(credits_partition(PARTITION, max_result_bytes, store), PARTITION, expire_limit)
        self.log: list[Change] = []
        self.transaction_ids: dict[tuple[str, str], None] = {}
        """Every one given out, of refusals and aborted batches too, in order."""

    @property
    def fold(self) -> OpenPartition:
        assert isinstance(self.actual.ledger, OpenPartition)
        return self.actual.ledger

    def send(self, command: Command, after_ms: int = 0) -> Result:
        expected = self.modelled.send(command, after_ms)
        actual = self.actual.send(command, after_ms)
        self.compare()
        assert actual == expected
        for result in flattened([actual]):
            self.transaction_ids[result.tenant_id, result.transaction_id] = None
        return actual

    def tick(self, after_ms: int) -> None:
        self.modelled.tick(after_ms)
        self.actual.tick(after_ms)
        self.compare()

    def compare(self) -> None:
        modelled = by_topic(self.modelled.outputs)
        actual = by_topic(self.actual.outputs)
        if any(result.code == Code.RESULT_TOO_LARGE for result in self.modelled.results):
            # The ledger also sets such a batch aside; the model knows results and audit entries only
            actual.pop("dead-letters", None)
        assert actual == modelled

    def keep_changes(self) -> None:
        self.log += self.fold.changes()

    def restart(self, compacted: int) -> None:
        """Swap in a fresh ledger restored from the changes, the first `compacted` of them as Kafka compacts.

        That is, without what was later overwritten and without deletions.
        """
        self.keep_changes()
        last = {(change.topic, change.key): index for index, change in enumerate(self.log)}
        fold = credits_partition(PARTITION, self.max_result_bytes, self.store)
        for index, change in enumerate(self.log):
            is_last = last[change.topic, change.key] == index
            is_kept = (
                change.value is not None or self.flushed > 0
            )  # a checkpoint is younger than any compacted deletion
            if index >= self.flushed and (index >= compacted or (is_last and is_kept)):
                fold.restore(change.topic, change.key, change.value)
        assert list(fold.changes()) == [], "what was restored has not changed"
        self.actual.ledger = fold

    def checkpoint(self, *, evict: bool) -> None:
        """Have the store take what has been committed, which here is everything."""
        if self.store is not None:
            self.keep_changes()
            batch = self.store.begin()
            self.fold.flush(batch)
            self.store.apply(batch)
            self.fold.flushed(evict=evict)
            self.flushed = len(self.log)

    def edges_ms(self) -> list[int]:
        """Moments to come at which something expires or is forgotten."""
        state = self.model.state
        moments = {
            *(hold.expires_at_ms for hold in state.holds.values() if hold.ended is None),
            *(hold.ended_at_ms + DAY_MS for hold in state.holds.values() if hold.ended is not None),
            *(spending.at_ms + REFUND_WINDOW_MS for spending in state.spendings.values()),
            *(forgotten_at_ms(outcome.at_ms) for outcome in state.outcomes.values()),
        }
        return sorted(moment for moment in moments if moment > self.modelled.at_ms)

    def probe(self) -> None:
        """Ask about everything that was ever known: what is never asked about could differ unseen."""
        state = self.model.state.copy()
        transaction_ids = list(self.transaction_ids)
        for index, outcome in enumerate(state.outcomes.values()):
            self.send(outcome.command)
            changed = msgspec.structs.replace(outcome.command, actor=f"probe-{index}")
            self.send(changed)
        for index, (tenant_id, transaction_id) in enumerate(transaction_ids):
            self.send(Refund(tenant_id=tenant_id, idempotency_key=f"probe-r{index}", transaction_id=transaction_id))
        for index, (tenant_id, reservation_id) in enumerate(state.holds):
            self.send(Commit(tenant_id=tenant_id, idempotency_key=f"probe-c{index}", reservation_id=reservation_id))
        for tenant_id in ("acme", "beta"):
            self.send(Consume(tenant_id=tenant_id, idempotency_key="probe", amount=AMOUNT_LIMIT - 1))


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.both = Both()
        self.sent: list[Command] = []
        self.new_keys = 0
        self.differed = False
        self.restart_last = False

    @initialize(
        max_result_bytes=st.sampled_from([1_000_000, 1_000_000, 1_000_000, 1200, 700]),
        expire_limit=st.sampled_from([1000, 1, 2]),
        purchase=st.sampled_from([True, True, True, True, False]),
        restart_last=st.booleans(),
        stored=st.booleans(),
    )
    def start(self, max_result_bytes: int, expire_limit: int, purchase: bool, restart_last: bool, stored: bool) -> None:
        self.restart_last = restart_last
        self.both = Both(max_result_bytes, expire_limit, DictStore() if stored else None)
        self.send(Purchase(tenant_id="acme", idempotency_key="first", amount=1000 if purchase else 0))

    @rule(command=singles, step_ms=steps_ms)
    def single(self, command: Single, step_ms: int | Edge) -> None:
        self.send(self.resolved(command), step_ms)

    @rule(
        tenant_id=tenant_ids,
        key=keys,
        actor=actors,
        commands=st.lists(singles, min_size=1, max_size=4),
        atomic=st.booleans(),
        step_ms=steps_ms,
    )
    def batch(
        self,
        tenant_id: str,
        key: str,
        actor: str | None,
        commands: list[Single],
        atomic: bool,
        step_ms: int | Edge,
    ) -> None:
        key = self.resolved_key(key)
        resolved = [
            self.resolved(msgspec.structs.replace(command, tenant_id=tenant_id), not_key=key) for command in commands
        ]
        self.send(
            Batch(tenant_id=tenant_id, idempotency_key=key, actor=actor, commands=resolved, atomic=atomic),
            step_ms,
        )

    @rule(age=st.integers(0, 9), step_ms=steps_ms)
    def resend(self, age: int, step_ms: int | Edge) -> None:
        self.send(self.sent[-1 - age % len(self.sent)], step_ms)

    @rule(age=st.integers(0, 5), atomic=st.booleans(), command=singles)
    def resend_within_batch(self, age: int, atomic: bool, command: Single) -> None:
        again = self.sent[-1 - age % len(self.sent)]
        commands = list(again.commands) if isinstance(again, Batch) else [again]
        extra = self.resolved(msgspec.structs.replace(command, tenant_id=again.tenant_id))
        self.send(
            Batch(
                tenant_id=again.tenant_id,
                idempotency_key=self.resolved_key(NEW_KEY),
                commands=[*commands, extra],
                atomic=atomic,
            )
        )

    @rule(step_ms=steps_ms)
    def tick(self, step_ms: int | Edge) -> None:
        self.both.tick(self.resolved_step_ms(step_ms))

    @rule()
    def keep_changes(self) -> None:
        self.both.keep_changes()

    @rule(compacted=st.sampled_from([0, 1_000_000, 5, 20]))
    def restart(self, compacted: int) -> None:
        self.both.restart(compacted)
        event("restarted")

    @rule(evict=st.booleans())
    def checkpoint(self, evict: bool) -> None:
        self.both.checkpoint(evict=evict)

    @invariant()
    def sums(self) -> None:
        state = self.both.model.state
        for tenant_id, account in state.accounts.items():
            held = sum(hold.amount for (holder, _), hold in state.holds.items() if holder == tenant_id)
            assert account.reserved_funds == held
        for result in flattened(self.both.actual.results):
            balance = result.account
            assert min(msgspec.structs.astuple(balance)) >= 0
            assert balance.available == balance.balance - balance.reserved_funds
            assert balance.balance == balance.total_purchased - balance.total_spent

    def teardown(self) -> None:
        if self.differed:
            return
        if self.restart_last:
            self.both.restart(compacted=len(self.both.log))
        self.both.probe()

    def send(self, command: Command, step_ms: int | Edge = 0) -> None:
        after_ms = self.resolved_step_ms(step_ms)
        note(f"after {after_ms} ms: {command}")
        self.differed = True
        self.both.send(command, after_ms)
        self.differed = False
        self.sent.append(command)
        for result in flattened(self.both.actual.results):
            event(f"{result.type}: {result.code.value}{' (replayed)' if result.replayed else ''}")

    def resolved_step_ms(self, step_ms: int | Edge) -> int:
        if isinstance(step_ms, int):
            return step_ms
        edges_ms = self.both.edges_ms()
        if not edges_ms:
            return 0
        now_ms = self.both.modelled.at_ms
        return max(edges_ms[step_ms.pick % len(edges_ms)] + step_ms.offset_ms - now_ms, 0)

    def resolved_key(self, key: str) -> str:
        if key != NEW_KEY:
            return key
        self.new_keys += 1
        return f"n{self.new_keys}"

    def resolved(self, command: Single, not_key: str | None = None) -> Single:
        key = NEW_KEY if command.idempotency_key == not_key else command.idempotency_key
        command = msgspec.structs.replace(command, idempotency_key=self.resolved_key(key))
        match command:
            case Refund():
                return msgspec.structs.replace(command, transaction_id=self.resolved_transaction_id(command))
            case Commit() | Abort() if command.reservation_id == OPEN_HOLD:
                return msgspec.structs.replace(command, reservation_id=self.open_hold(command.tenant_id))
            case _:
                return command

    def open_hold(self, tenant_id: str) -> str:
        holds = self.both.model.state.holds.items()
        open_ids = (name for (holder, name), hold in holds if holder == tenant_id and hold.ended is None)
        return next(open_ids, "r0")

    def resolved_transaction_id(self, refund: Refund) -> str:
        """Name a recent transaction, whoever's it is, or a command of the batch that is about to be sent."""
        transaction_id = refund.transaction_id
        if transaction_id.startswith(OWN_BATCH):
            index = transaction_id.removeprefix(OWN_BATCH)
            return f"{PARTITION}-{self.both.modelled.offset}-{index}"
        if transaction_id.startswith(RECENT):
            age = int(transaction_id.removeprefix(RECENT))
            known = [known_id for _, known_id in self.both.model.state.spendings]
            return known[-1 - age] if age < len(known) else f"{PARTITION}-1"
        return transaction_id


def flattened(results: list[Result]) -> Iterator[Result]:
    for result in results:
        yield result
        if result.results is not msgspec.UNSET:
            yield from result.results


# A difference takes minutes to shrink; what it shrinks to is worth them.
TestLedger = pytest.mark.soak(pytest.mark.timeout(900 + EXAMPLES // 4)(LedgerMachine.TestCase))
TestLedger.settings = settings(max_examples=EXAMPLES, stateful_step_count=30, deadline=None)


def test_every_code_and_every_command_type_is_compared() -> None:
    """Random runs reach all of these often; this one always does."""
    both = Both(max_result_bytes=1500)
    reached: set[tuple[str, Code]] = set()

    def send(command: Command, after_ms: int = 0) -> None:
        both.send(command, after_ms)
        reached.update((result.type, result.code) for result in flattened(both.actual.results))

    keys = iter(f"k{number}" for number in range(1000))

    def command(kind: Callable[..., Command], **fields: object) -> Command:
        return kind(**{"tenant_id": "acme", "idempotency_key": next(keys), **fields})

    first = command(Purchase, amount=1000)
    send(command(Consume, amount=1))
    send(first)
    send(first)
    send(command(Purchase, amount=1000, idempotency_key=first.idempotency_key, actor="alice"))
    for kind in (Purchase, Consume):
        send(command(kind, amount=0))
        send(command(kind, amount=AMOUNT_LIMIT))
    send(command(Consume, amount=1001))
    send(command(Consume, amount=100))
    consumed = f"{PARTITION}-{both.modelled.offset - 1}"
    send(command(Refund, transaction_id="unknown"))
    send(command(Refund, transaction_id=consumed, amount=101))
    send(command(Refund, transaction_id=consumed, amount=60))
    send(command(Refund, transaction_id=consumed))
    send(command(Refund, transaction_id=consumed))
    send(command(Reserve, reservation_id="r", amount=1, ttl_s=0))
    send(command(Reserve, reservation_id="r", amount=1001, ttl_s=1))
    send(command(Reserve, reservation_id="r", amount=500, ttl_s=1))
    send(command(Reserve, reservation_id="r", amount=500, ttl_s=1))
    send(command(Commit, reservation_id="s"))
    send(command(Commit, reservation_id="r", amount=501))
    send(command(Commit, reservation_id="r", amount=100, final=False))
    send(command(Abort, reservation_id="r"), after_ms=1000)
    send(command(Reserve, reservation_id="s", amount=500, ttl_s=1))
    send(command(Commit, reservation_id="s", amount=1))
    send(command(Abort, reservation_id="s"))
    send(command(Reserve, reservation_id="t", amount=1, ttl_s=1))
    send(command(Abort, reservation_id="t"))
    send(command(Batch, atomic=True, commands=[command(Consume, amount=1), command(Consume, amount=10_000)]))
    send(command(Batch, atomic=False, commands=[command(Consume, amount=1), command(Consume, amount=10_000)]))
    send(command(Batch, atomic=False, commands=[command(Consume, amount=1) for _ in range(5)]))
    both.restart(compacted=0)
    both.probe()

    assert {code for _, code in reached} == set(Code) - {Code.RESERVED_NAME, Code.UNREADABLE}, (
        "the engine looks at these"
    )
    assert {kind for kind, _ in reached} == {
        "purchase", "consume", "reserve", "commit", "abort", "refund", "batch", "expire"
    }  # fmt: skip
    assert {kind for kind, code in reached if code == Code.OK} == {kind for kind, _ in reached}


def one_of_everything_that_time_ends(store: DictStore | None = None) -> Both:
    both = Both(store=store)
    fields: dict[str, Any] = {"tenant_id": "acme"}
    both.send(Purchase(**fields, idempotency_key="p", amount=1000))
    for second, ttl_s in enumerate([1, 3600, 86_400, TTL_MAX_S]):
        name = f"h{second}"
        both.send(Reserve(**fields, idempotency_key=name, reservation_id=name, amount=10, ttl_s=ttl_s), after_ms=1000)
    both.send(Commit(**fields, idempotency_key="c", reservation_id="h3", amount=1, final=False), after_ms=7)
    both.send(Consume(**fields, idempotency_key="s", amount=5), after_ms=HOUR_MS // 2)
    both.send(Abort(**fields, idempotency_key="a", reservation_id="h2"), after_ms=7)
    both.send(Consume(**fields, idempotency_key="last", amount=5000), after_ms=HOUR_MS // 2)
    return both


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("offset_ms", [-1, 0, 1])
def test_time_ends_everything_at_the_millisecond_the_model_says(offset_ms: int, restarted: bool, stored: bool) -> None:
    for moment_ms in one_of_everything_that_time_ends().edges_ms():
        both = one_of_everything_that_time_ends(DictStore() if stored else None)
        both.checkpoint(evict=True)
        if restarted:
            both.restart(compacted=0)
        both.tick(moment_ms + offset_ms - both.modelled.at_ms)
        both.probe()


def test_what_is_forgotten_is_deleted_from_the_tables() -> None:
    both = Both()
    both.send(Purchase(tenant_id="acme", idempotency_key="p", amount=1000))
    both.send(Reserve(tenant_id="acme", idempotency_key="r", amount=1, reservation_id="r0", ttl_s=60))
    both.send(Abort(tenant_id="acme", idempotency_key="a", reservation_id="r0"))
    kept = {(change.topic, change.key) for change in both.fold.changes() if change.value is not None}
    both.tick(DAY_MS)
    deleted = {(change.topic, change.key) for change in both.fold.changes() if change.value is None}
    assert len(deleted) == 1
    assert deleted <= kept
