from __future__ import annotations

from random import Random

import pytest

from bench.growth.blocks import ENTRIES_A_BLOCK, ENTRY_BYTES, block_of
from bench.growth.preload import HOURS, PreloadedState, accounts, remembered
from shieldx.domains.credits import state
from shieldx.domains.credits.messages import Code, Consume, Result
from shieldx.domains.credits.outcomes import conflict, unpack
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS, OUTCOMES
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import Source
from shieldx.state.deduplication import BLOCK_BYTES, HOUR_MS, key_digest
from shieldx.state.partition_state import PartitionState
from tests.domains.open_partition import credits_partition

HOUR = 490_000
COMMAND = Consume(tenant_id="org-1", idempotency_key="k", amount=1)


HEAD_BYTES = 10
"""Version of the block, version of its entries, hour."""


def noise() -> Random:
    return Random(1)  # noqa: S311 - its values replace digests


def source(command_bytes: bytes = b"{}") -> Source:
    return Source(COMMANDS, 0, 7, (HOUR + 1) * HOUR_MS - 1, command_bytes)


def test_the_domain_reads_every_entry_of_a_block() -> None:
    outcomes = PartitionState(state.STATE).table(state.OUTCOMES)
    _, value = block_of(COMMAND, HOUR, 100, noise())
    before = outcomes.size_bytes
    outcomes.restore(b"", value)
    assert outcomes.size_bytes > before
    digests = [value[at : at + 16] for at in range(HEAD_BYTES, len(value), ENTRY_BYTES)]
    assert len(set(digests)) == 100
    for digest in digests:
        packed = outcomes.find(digest)
        assert packed is not None
        outcome = unpack(packed)
        assert outcome.code is Code.OK
        assert outcome.at_ms // HOUR_MS == HOUR


def test_the_command_of_a_block_is_remembered_and_no_other() -> None:
    outcomes = PartitionState(state.STATE).table(state.OUTCOMES)
    outcomes.restore(b"", block_of(COMMAND, HOUR, 10, noise())[1])
    packed = outcomes.find(key_digest("org-1", "k"))
    assert packed is not None
    assert conflict(COMMAND, packed) is None
    assert outcomes.find(key_digest("org-1", "other")) is None


def test_the_domain_writes_a_block_that_is_as_long() -> None:
    outcomes = PartitionState(state.STATE).table(state.OUTCOMES)
    value = block_of(COMMAND, HOUR, 1, noise())[1]
    packed = value[HEAD_BYTES + 20 :]
    outcomes.remember(key_digest("org-1", "k"), packed, HOUR * HOUR_MS)
    (change,) = outcomes.changes()
    assert (change.key, change.value) == block_of(COMMAND, HOUR, 1, noise())


@pytest.mark.parametrize("count", [1, ENTRIES_A_BLOCK])
def test_a_block_stays_within_what_the_ledger_writes(count: int) -> None:
    assert len(block_of(COMMAND, HOUR, count, noise())[1]) <= BLOCK_BYTES + HEAD_BYTES


def test_preloaded_blocks_hold_as_many_keys_as_were_asked_for_over_24_hours_oldest_first() -> None:
    preloaded = PreloadedState(tenants=10, keys=50 * ENTRIES_A_BLOCK + 3, partitions=4)
    blocks = list(remembered(preloaded, HOUR))
    values = [record.value or b"" for record, _ in blocks]
    hours = [int.from_bytes(value[2:HEAD_BYTES]) for value in values]
    assert sum((len(value) - HEAD_BYTES) // ENTRY_BYTES for value in values) == preloaded.keys
    assert hours == sorted(hours)
    assert (hours[0], hours[-1]) == (HOUR - HOURS + 1, HOUR)
    assert all(home_partition(command.tenant_id, 4) == record.partition for record, command in blocks)


def test_a_restored_fold_gives_the_first_result_again_and_goes_on_from_the_preloaded_balance() -> None:
    fold = credits_partition(0)
    preloaded = PreloadedState(tenants=3, keys=1000, partitions=1)
    for record in accounts(preloaded):
        fold.restore(ACCOUNTS, record.key or b"", record.value)
    commands = []
    for record, command in remembered(preloaded, HOUR):
        fold.restore(OUTCOMES, record.key or b"", record.value)
        commands.append(command)
    again = fold.apply(commands[0], source())[0].value
    assert isinstance(again, Result)
    assert again.code is Code.OK
    assert again.replayed
    fresh = fold.apply(Consume(tenant_id="org-2", idempotency_key="new", amount=5), source())[0].value
    assert isinstance(fresh, Result)
    assert (fresh.code, fresh.replayed, fresh.account.total_spent) == (Code.OK, False, 5)
