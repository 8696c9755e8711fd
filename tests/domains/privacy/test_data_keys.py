"""Data keys are granted, wrapped again and destroyed, and none comes back."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.privacy.data_keys import SWEEP_AFTER_MS, DataKeys, Refused
from shieldx.domains.privacy.messages import MOST_ENCRYPTIONS, MOST_GRANTED, MOST_KEYS, Code, Result
from shieldx.domains.privacy.state import ERASURES as ERASURES_TABLE
from shieldx.domains.privacy.state import KEYS as KEYS_TABLE
from shieldx.domains.privacy.state import STATE
from shieldx.domains.privacy.tables import ERASURES, KEYS, RESULTS, DataKey, SubjectKeys
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.rocksdb.store import RocksStores
from shieldx.state.partition_state import PartitionState
from tests.domains.privacy.privacy_agent import (
    ADA,
    BOB,
    FIRST,
    SECOND,
    acquire,
    answer,
    driver,
    erase,
    open_request,
    rewrap,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path

AT = "2026-01-01T12:00:00.000Z"


def outcome(result: Result) -> tuple[Code, object]:
    return result.code, result.key


async def test_the_first_proposed_key_is_granted_to_all_who_ask_later() -> None:
    agent = driver()
    assert outcome(await answer(agent, acquire(FIRST))) == (Code.OK, FIRST)
    again = await answer(agent, acquire(SECOND))
    assert outcome(again) == (Code.OK, FIRST)
    assert again.granted == 100
    (row,) = rows(agent, KEYS)
    assert [(key.key, key.granted) for key in row.keys] == [(FIRST, 200)]


async def test_a_subject_gets_a_key_of_its_own() -> None:
    agent = driver()
    assert outcome(await answer(agent, acquire(FIRST))) == (Code.OK, FIRST)
    assert outcome(await answer(agent, acquire(SECOND, BOB))) == (Code.OK, SECOND)


async def test_no_key_is_granted_more_encryptions_than_its_nonces_allow() -> None:
    agent = driver()
    for _ in range(MOST_ENCRYPTIONS // MOST_GRANTED):
        assert outcome(await answer(agent, acquire(FIRST, encryptions=MOST_GRANTED))) == (Code.OK, FIRST)
    refused = await answer(agent, acquire(FIRST, encryptions=1))
    assert outcome(refused)[0] is Code.KEY_EXISTS
    assert outcome(await answer(agent, acquire(SECOND, encryptions=1))) == (Code.OK, SECOND)
    (row,) = rows(agent, KEYS)
    assert [key.granted for key in row.keys] == [MOST_ENCRYPTIONS, 1]


async def test_the_keys_of_a_subject_fit_into_a_record() -> None:
    used_up = [
        DataKey(key=f"{n:016x}", kek_id="k" * 256, wrapped=b"w" * 512, granted=MOST_ENCRYPTIONS, created_at=AT)
        for n in range(MOST_KEYS)
    ]
    row = SubjectKeys(tenant_id="t" * 256, subject=ADA, keys=tuple(used_up))
    assert len(msgspec.json.encode(row)) < 1_000_000
    state = PartitionState(STATE)
    state.table(KEYS_TABLE).put(row, "acme", ADA)
    with pytest.raises(Refused, match=f"has {MOST_KEYS} keys, each used up"):
        DataKeys(state.table(KEYS_TABLE), state.table(ERASURES_TABLE), state.timers).acquire(acquire("f" * 16), AT)


async def test_an_erasure_destroys_every_key_of_one_subject_only() -> None:
    agent = driver()
    await answer(agent, acquire(FIRST, encryptions=MOST_GRANTED))
    await answer(agent, acquire(SECOND, BOB))
    erased = await answer(agent, erase())
    assert (erased.code, erased.destroyed) == (Code.OK, (FIRST,))
    assert [row.subject for row in rows(agent, KEYS)] == [BOB]


async def test_a_destroyed_key_is_never_accepted_again() -> None:
    agent = driver()
    await answer(agent, acquire(FIRST))
    await answer(agent, erase())
    await agent.restart(0)
    assert outcome(await answer(agent, acquire(FIRST)))[0] is Code.KEY_ERASED
    assert outcome(await answer(agent, acquire(SECOND))) == (Code.OK, SECOND)


async def test_an_erasure_of_named_keys_spares_those_that_came_later() -> None:
    agent = driver()
    await answer(agent, acquire(SECOND))
    replayed = await answer(agent, erase(keys=(FIRST,)))
    assert (replayed.code, replayed.destroyed) == (Code.OK, ())
    assert outcome(await answer(agent, acquire(FIRST))) == (Code.OK, SECOND)
    assert [row.keys for row in rows(agent, ERASURES)] == [(FIRST,)]


async def test_the_row_of_an_erased_subject_is_written_again_so_that_its_segment_is_closed() -> None:
    agent = driver()
    await answer(agent, acquire(FIRST))
    await answer(agent, erase())
    await agent.restart(0)
    assert [record.value is None for record in agent.read(KEYS)] == [False, True]
    agent.advance(SWEEP_AFTER_MS)
    await agent.tick()
    assert [record.value is None for record in agent.read(KEYS)] == [False, True, True]
    agent.advance(SWEEP_AFTER_MS)
    await agent.tick()
    assert len(agent.read(KEYS)) == 3


async def test_a_sweep_keeps_the_keys_of_a_subject_that_came_back() -> None:
    agent = driver()
    await answer(agent, acquire(FIRST))
    await answer(agent, erase())
    await answer(agent, acquire(SECOND))
    agent.advance(SWEEP_AFTER_MS)
    await agent.tick()
    assert outcome(await answer(agent, acquire(FIRST, encryptions=1))) == (Code.OK, SECOND)


async def test_an_erasure_that_finds_no_key_says_so() -> None:
    agent = driver()
    assert (await answer(agent, erase())).code is Code.NOTHING_TO_ERASE
    assert rows(agent, ERASURES) == []


async def test_a_second_erasure_keeps_the_names_of_the_first() -> None:
    agent = driver()
    for key in (FIRST, SECOND):
        await answer(agent, acquire(key))
        await answer(agent, erase())
    (row,) = rows(agent, ERASURES)
    assert row.keys == (FIRST, SECOND)


async def test_wrapping_again_needs_the_key_that_wraps_now() -> None:
    agent = driver()
    await answer(agent, acquire(FIRST))
    assert (await answer(agent, rewrap())).kek_id == "2027-01"
    assert (await answer(agent, rewrap())).code is Code.WRAPPED_OTHERWISE
    assert (await answer(agent, rewrap(SECOND))).code is Code.KEY_UNKNOWN
    (row,) = rows(agent, KEYS)
    assert [(key.kek_id, key.wrapped, key.granted) for key in row.keys] == [("2027-01", b"wrapped again", 100)]


@pytest.mark.parametrize("message", [acquire(), rewrap(), erase()])
async def test_a_wrapped_key_is_in_no_result(message: object) -> None:
    agent = driver()
    await answer(agent, acquire())
    await answer(agent, message)  # type: ignore[arg-type] # one of the three
    assert all(b"wrapped" not in (record.value or b"") for record in agent.read(RESULTS))


async def test_what_cannot_be_read_is_answered() -> None:
    agent = driver()
    agent.send(
        "privacy.commands", b'{"type":"erase","tenant_id":"acme"}', key=b"acme", headers=[("correlation-id", b"c")]
    )
    await agent.run()
    (result,) = agent.messages(RESULTS)
    assert (result.code, result.tenant_id, result.type) == (Code.UNREADABLE, "acme", "erase")
    assert ADA not in str(result)


async def test_a_tenant_that_moves_to_another_partition_leaves_no_key_behind() -> None:
    agent = driver()
    moving = next(name for name in map(str, range(100)) if home_partition(name, 2) == 1)
    agent.send("privacy.key-requests", msgspec.structs.replace(acquire(), tenant_id=moving))
    await answer(agent, acquire(SECOND))
    await agent.grow(2)
    await answer(agent, acquire(SECOND))
    left = {(record.partition, record.key): record.value for record in agent.read(KEYS)}
    assert left[0, f"{moving}/{ADA}".encode()] is None
    assert left[1, f"{moving}/{ADA}".encode()] is not None


def contents_below(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_a_row_that_keeps_a_key_leaves_the_destroyed_one_on_no_disk(tmp_path: Path) -> None:
    agent = driver(stores=RocksStores(tmp_path, memory_bytes=128_000_000))
    await answer(agent, acquire(FIRST, encryptions=MOST_GRANTED))
    for _ in range(MOST_ENCRYPTIONS // MOST_GRANTED):
        await answer(agent, acquire(SECOND, encryptions=MOST_GRANTED))
    await agent.stop(0)
    assert (await answer(agent, erase(keys=(FIRST,)))).destroyed == (FIRST,)
    await agent.stop(0)
    gone, kept = (b64encode(b"wrapped " + key.encode()) for key in (FIRST, SECOND))
    files = contents_below(tmp_path)
    assert not any(gone in content for content in files)
    assert any(kept in content for content in files)


async def test_what_looks_like_a_time_and_is_none_is_refused() -> None:
    agent = driver()
    never = msgspec.json.encode(open_request()).replace(b"2026-02-01T09:00:00Z", b"9999-99-99T99:99:99Z")
    agent.send("privacy.commands", never, key=b"acme", headers=[("correlation-id", b"c")])
    await agent.run()
    (result,) = agent.messages(RESULTS)
    assert (result.code, result.detail) == (Code.UNREADABLE, "due_at is not a time")
