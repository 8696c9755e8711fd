from __future__ import annotations

from random import Random

import pytest

from bench.growth.blocks import ENTRIES_A_BLOCK, ENTRY_BYTES, block_of
from bench.growth.preload import HOURS, PreloadedState, accounts, remembered
from shieldx.domains.credits.fold import CreditsFold
from shieldx.domains.credits.messages import Code, Consume, Result
from shieldx.domains.credits.outcomes import at_ms_of, conflict, unpack
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS, OUTCOMES
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import Source
from shieldx.state.deduplication import BLOCK_BYTES, HOUR_MS, DeduplicationWindow, key_digest

HOUR = 490_000
COMMAND = Consume(tenant_id="org-1", idempotency_key="k", amount=1)


def noise() -> Random:
    return Random(1)  # noqa: S311 - it stands for digests


def source(command_bytes: bytes = b"{}") -> Source:
    return Source(COMMANDS, 0, 7, (HOUR + 1) * HOUR_MS - 1, command_bytes)


def test_the_domain_reads_every_entry_of_a_block() -> None:
    outcomes = DeduplicationWindow("outcomes", at_ms_of)
    _, value = block_of(COMMAND, HOUR, 100, noise())
    before = outcomes.size_bytes
    outcomes.load_block(value)
    assert outcomes.size_bytes > before
    digests = [value[at : at + 16] for at in range(8, len(value), ENTRY_BYTES)]
    assert len(set(digests)) == 100
    for digest in digests:
        packed = outcomes.find(digest)
        assert packed is not None
        outcome = unpack(COMMAND, packed)
        assert outcome.code is Code.OK
        assert outcome.at_ms // HOUR_MS == HOUR


def test_the_command_of_a_block_is_remembered_and_no_other() -> None:
    outcomes = DeduplicationWindow("outcomes", at_ms_of)
    outcomes.load_block(block_of(COMMAND, HOUR, 10, noise())[1])
    packed = outcomes.find(key_digest("org-1", "k"))
    assert packed is not None
    assert conflict(COMMAND, packed) is None
    assert outcomes.find(key_digest("org-1", "other")) is None


def test_the_domain_writes_a_block_that_is_as_long() -> None:
    outcomes = DeduplicationWindow("outcomes", at_ms_of)
    value = block_of(COMMAND, HOUR, 1, noise())[1]
    packed = value[8 + 20 :]
    outcomes.remember(key_digest("org-1", "k"), packed, HOUR * HOUR_MS)
    assert list(outcomes.take_blocks()) == [block_of(COMMAND, HOUR, 1, noise())]


@pytest.mark.parametrize("count", [1, ENTRIES_A_BLOCK])
def test_a_block_stays_within_what_the_ledger_writes(count: int) -> None:
    assert len(block_of(COMMAND, HOUR, count, noise())[1]) <= BLOCK_BYTES + 8


def test_preloaded_blocks_hold_as_many_keys_as_were_asked_for_over_24_hours_oldest_first() -> None:
    state = PreloadedState(tenants=10, keys=50 * ENTRIES_A_BLOCK + 3, partitions=4)
    blocks = list(remembered(state, HOUR))
    hours = [int.from_bytes(record.value[:8]) for record, _ in blocks]
    assert sum((len(record.value) - 8) // ENTRY_BYTES for record, _ in blocks) == state.keys
    assert hours == sorted(hours)
    assert (hours[0], hours[-1]) == (HOUR - HOURS + 1, HOUR)
    assert all(home_partition(command.tenant_id, 4) == record.partition for record, command in blocks)


def test_a_restored_fold_gives_the_first_result_again_and_goes_on_from_the_preloaded_balance() -> None:
    fold = CreditsFold(0)
    state = PreloadedState(tenants=3, keys=1000, partitions=1)
    for record in accounts(state):
        fold.restore(ACCOUNTS, record.key, record.value)
    commands = []
    for record, command in remembered(state, HOUR):
        fold.restore(OUTCOMES, record.key, record.value)
        commands.append(command)
    again = fold.apply(commands[0], source())[0].value
    assert isinstance(again, Result)
    assert again.code is Code.OK
    assert again.replayed
    fresh = fold.apply(Consume(tenant_id="org-2", idempotency_key="new", amount=5), source())[0].value
    assert isinstance(fresh, Result)
    assert (fresh.code, fresh.replayed, fresh.balance.total_spent) == (Code.OK, False, 5)
