"""A worker of a replayable agent on a real broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata

from shieldx.engine.operations import open_transactions
from shieldx.engine.replayable.answer_loop import MOST_PAUSING, AnswerLoop
from shieldx.engine.replayable.group_topics import metadata_of
from shieldx.errors import FixConfiguration
from shieldx.messages import DEAD_LETTERS, DeadLetter
from tests.engine.echo_agent import PARTITIONS, Ask, Echoing
from tests.engine.echo_platform import EchoPlatform, new_platform, number_of
from tests.engine.kafka.raw_batches import ZSTD, RawRecord, batch, produce
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from shieldx.engine.operations.metrics import Metrics
    from shieldx.engine.tasks.log import Record
    from shieldx.messages import Output, Source

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def echoing(kafka: str, tmp_path: Path) -> AsyncIterator[EchoPlatform]:
    async with new_platform(kafka, tmp_path) as found:
        yield found


def value_of(metrics: Metrics, name: str) -> float:
    return sum(s.value for family in metrics.registry.collect() for s in family.samples if s.name == name)


async def letters(echoing: EchoPlatform, count: int) -> list[DeadLetter]:
    """Those of this test: the topic of dead letters is every test's."""

    def mine(value: bytes) -> bool:
        return msgspec.json.decode(value, type=DeadLetter).source.topic == echoing.names.asks

    found = await echoing.read(DEAD_LETTERS, lambda read: sum(mine(each.value) for each in read) >= count)
    return [msgspec.json.decode(each.value, type=DeadLetter) for each in found if mine(each.value)]


class Held(Echoing):
    """Does not answer some numbers before it is told to."""

    def __init__(self, echoes: str, *held: int) -> None:
        super().__init__(echoes)
        self.held = held
        self.begun: list[int] = []
        self.release = asyncio.Event()

    async def answer(self, message: Ask, source: Source) -> Sequence[Output]:
        self.begun.append(message.number)
        if message.number in self.held:
            await self.release.wait()
        return await super().answer(message, source)


class Failing(Echoing):
    """Raises for some numbers as long as there is an outage."""

    def __init__(self, echoes: str, *failing: int) -> None:
        super().__init__(echoes)
        self.outage = True
        self.failing = failing

    async def answer(self, message: Ask, source: Source) -> Sequence[Output]:
        outputs = await super().answer(message, source)
        if self.outage and message.number in self.failing:
            raise ConnectionError("the database of samples is away")
        return outputs


async def test_each_of_a_great_many_records_is_answered_in_its_partition(echoing: EchoPlatform) -> None:
    await echoing.send(*(Ask(number=number) for number in range(999)))
    async with echoing.worker() as (worker, metrics):
        records = await echoing.echoes(range(999))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 333))
        await until(lambda: value_of(metrics, "shieldx_records_total") == 999)
        assert worker.ready
    assert len(records) == 999
    assert all(record.partition == number_of(record) % PARTITIONS for record in records)


async def test_an_echo_carries_what_belongs_together(echoing: EchoPlatform) -> None:
    headers = [("correlation-id", b"c"), ("traceparent", b"t"), ("other", b"o"), ("reply-to", b"replies")]
    await echoing.send(Ask(number=1), headers=headers)
    async with echoing.worker():
        (record,) = await echoing.echoes([1])
    assert list(record.headers) == [("schema", b"echo.echo/1"), ("correlation-id", b"c"), ("traceparent", b"t")]
    assert record.key == b"acme"


async def test_nothing_of_an_aborted_transaction_is_answered_and_all_of_a_committed_one(echoing: EchoPlatform) -> None:
    answering = Echoing(echoing.names.echoes)
    async with echoing.worker(answering):
        producer = AIOKafkaProducer(**echoing.platform.connection, transactional_id=echoing.names.agent)
        async with producer:
            for numbers, aborted in ((range(10), True), (range(10, 20), False), (range(20, 30), True)):
                await producer.begin_transaction()
                for number in numbers:
                    await producer.send_and_wait(
                        echoing.names.asks, msgspec.json.encode(Ask(number=number)), partition=0
                    )
                await (producer.abort_transaction() if aborted else producer.commit_transaction())
        await echoing.send(Ask(number=100), partition=0)
        await echoing.echoes([100])
        await echoing.until_committed({0: 34})
    assert sorted(answering.asked) == [*range(10, 20), 100]


async def test_what_cannot_be_read_or_is_too_large_is_a_dead_letter(echoing: EchoPlatform) -> None:
    await echoing.send(
        b'{"type":"ask"}', None, b"\xff", Ask(number=1, echo_bytes=2_000_000), Ask(number=2), partition=2
    )
    async with echoing.worker() as (_, metrics):
        await echoing.echoes([2])
        found = await letters(echoing, 4)
        await echoing.until_committed({2: 5})
        assert value_of(metrics, "shieldx_dead_letters_total") == 4
    assert {letter.source.offset: letter.detail for letter in found} == {
        0: "Object missing required field `number`",
        1: "a record without a value",
        2: "not UTF-8 at byte 0",
        3: "what it leads to exceeds the size of a record",
    }
    assert {letter.reason for letter in found} == {"unreadable"}


async def test_what_cannot_be_decoded_is_a_dead_letter(echoing: EchoPlatform) -> None:
    raw = batch(RawRecord(b"", headers=[(b"tra\xffce", b"1")]), RawRecord(msgspec.json.encode(Ask(number=1))))
    bomb = batch(RawRecord(bytes(100_000_000)), codec=ZSTD)
    answers = await produce(echoing.platform.bootstrap, echoing.names.asks, 2, raw, bomb)
    assert answers == [(0, 0), (0, 2)]
    async with echoing.worker() as (worker, _):
        await echoing.send(Ask(number=2), partition=2)
        await echoing.echoes([1, 2])
        header, large = sorted(await letters(echoing, 2), key=lambda letter: letter.source.offset)
        await echoing.until_committed({2: 4})
        assert worker.ready
    assert (header.reason, header.detail) == ("undecodable", "the name of a header is not UTF-8")
    assert (large.reason, large.source.offset, large.length) == ("undecodable", 2, len(bomb))


async def test_an_answer_that_raises_is_tried_again_and_holds_up_nothing_but_readiness(echoing: EchoPlatform) -> None:
    failing = Failing(echoing.names.echoes, *range(0, 60, PARTITIONS))
    async with echoing.worker(failing) as (worker, metrics):
        await echoing.send(*(Ask(number=number) for number in range(180)))
        await echoing.echoes(set(range(180)) - set(failing.failing))
        assert not worker.ready
        assert value_of(metrics, "shieldx_failing_records") == 20
        await echoing.until_committed({1: 60, 2: 60})
        assert 0 not in await echoing.committed(), "its first record is not done"
        failing.outage = False
        await echoing.echoes(range(180))
        await until(lambda: worker.ready)
        await echoing.until_committed({0: 60})
        assert value_of(metrics, "shieldx_failing_records") == 0


async def test_an_outage_of_everything_takes_a_bounded_number_of_records(echoing: EchoPlatform) -> None:
    failing = Failing(echoing.names.echoes, *range(1500))
    async with echoing.worker(failing) as (_, metrics):
        await echoing.send(*(Ask(number=number) for number in range(1500)))
        await until(lambda: value_of(metrics, "shieldx_failing_records") == MOST_PAUSING + 16)
        await until(lambda: failing.asked.count(0) >= 4)
        assert len(set(failing.asked)) == MOST_PAUSING + 16
        failing.outage = False
        await echoing.echoes(range(1500))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 500))


async def test_a_record_at_work_is_not_committed_though_later_ones_are_done(echoing: EchoPlatform) -> None:
    await echoing.send(*(Ask(number=number) for number in range(10)), partition=1)
    held = Held(echoing.names.echoes, 4)
    async with echoing.worker(held):
        await echoing.echoes(set(range(10)) - {4})
        await echoing.until_committed({1: 4})
        held.release.set()
        await echoing.until_committed({1: 10})


async def test_a_stop_lets_answers_end_and_commits_them(echoing: EchoPlatform) -> None:
    await echoing.send(*(Ask(number=number) for number in range(10)), partition=1)
    held = Held(echoing.names.echoes, *range(10))
    async with echoing.worker(held) as (worker, _):
        await until(lambda: len(held.begun) == 10)
        worker.stop()
        await until(lambda: not worker.ready)
        held.release.set()
    assert await echoing.committed() == {1: 10}
    again = Echoing(echoing.names.echoes)
    async with echoing.worker(again):
        await echoing.send(Ask(number=100))
        await echoing.echoes([100])
    assert again.asked == [100]


async def test_a_record_that_fails_does_not_keep_a_worker_from_stopping(echoing: EchoPlatform) -> None:
    failing = Failing(echoing.names.echoes, 0)
    async with echoing.worker(failing):
        await echoing.send(Ask(number=0), Ask(number=PARTITIONS))
        await echoing.echoes([PARTITIONS])
        await until(lambda: failing.asked.count(0) >= 2)
    async with echoing.worker():
        await echoing.echoes([0, PARTITIONS])
        await echoing.until_committed({0: 2})


async def test_a_worker_whose_app_has_failed_makes_another_and_misses_nothing(
    echoing: EchoPlatform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take, calls = AnswerLoop.take, iter(range(1000))

    async def take_but_once(answers: AnswerLoop, record: Record) -> None:
        if next(calls) == 20:
            raise KeyError(record.partition)
        await take(answers, record)

    monkeypatch.setattr(AnswerLoop, "take", take_but_once)
    async with echoing.worker() as (worker, _):
        await echoing.send(*(Ask(number=number) for number in range(100)))
        await echoing.echoes(range(100))
        await until(lambda: worker.ready)
    assert "restarting the worker" in caplog.text


async def test_partitions_move_to_a_worker_that_joins_and_back(echoing: EchoPlatform) -> None:
    """What is at work while they move is not begun twice by the one that keeps them."""
    first, second = Held(echoing.names.echoes, 0, 1, 2), Echoing(echoing.names.echoes)
    async with echoing.worker(first):
        await echoing.send(*(Ask(number=number) for number in range(40)))
        await echoing.echoes(range(3, 40))
        async with echoing.worker(second):
            await until(lambda: not {0, 1, 2}.isdisjoint(second.asked))
            await echoing.send(*(Ask(number=number) for number in range(40, 80)))
            await echoing.echoes(range(3, 80))
            assert set(second.asked) & set(range(40, 80))
            kept = {0, 1, 2} - set(second.asked)
            assert kept
            assert {first.begun.count(number) for number in kept} == {1}
        first.release.set()
        await echoing.send(*(Ask(number=number) for number in range(80, 120)))
        await echoing.echoes(range(120))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 40))


async def test_what_was_dropped_in_a_rebalance_is_answered_though_nothing_was_committed(echoing: EchoPlatform) -> None:
    """faust drops what it fetched while it could not be handed on, and seeks."""
    async with echoing.worker() as (worker, _):
        app: Any = worker._app  # noqa: SLF001 - only faust can be made to drop a record
        app.consumer.stop_flow()
        await echoing.send(*(Ask(number=number) for number in range(9)))
        thread = app.consumer._thread  # noqa: SLF001 - likewise
        dropped = 0
        while dropped < 9:
            fetched = await thread.call_thread(thread._consumer.getmany, timeout_ms=1000)  # noqa: SLF001 - likewise
            dropped += sum(map(len, fetched.values()))
        assert await echoing.committed() == {}
        await app.consumer.perform_seek()
        app.consumer.resume_flow()
        await echoing.echoes(range(9))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 3))


async def test_a_transaction_that_a_client_leaves_open_is_named(
    echoing: EchoPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_transactions, "HELD_UP_S", 0.3)
    async with echoing.worker() as (worker, metrics):
        async with AIOKafkaProducer(**echoing.platform.connection, transactional_id=echoing.names.agent) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(echoing.names.asks, msgspec.json.encode(Ask(number=1)), partition=1)
            await until(lambda: not worker.ready)
            assert f"{echoing.names.asks}/1 waits at offset 0 for a transaction" in worker.waiting_for
            await until(lambda: value_of(metrics, "shieldx_lag_records") == 1)
            await producer.commit_transaction()
        await echoing.echoes([1])
        await until(lambda: worker.ready)


async def test_an_input_that_was_created_again_is_read_from_its_beginning(echoing: EchoPlatform) -> None:
    """Kafka deletes the group's offsets together with the topic."""
    async with echoing.worker():
        await echoing.send(*(Ask(number=number) for number in range(30)))
        await echoing.until_committed(dict.fromkeys(range(PARTITIONS), 10))
    await echoing.recreate_asks()
    await echoing.send(*(Ask(number=number) for number in range(100, 190)))
    async with echoing.worker():
        await echoing.echoes(range(100, 190))


async def test_offsets_of_an_input_that_was_created_again_are_refused(echoing: EchoPlatform) -> None:
    """As they are there if a worker has committed them before it noticed."""
    async with echoing.worker():
        await echoing.send(Ask(number=1), partition=0)
        await echoing.until_committed({0: 1})
    await echoing.commit({0: OffsetAndMetadata(1, metadata_of("the one before"))})
    refused = r"deleted and created again: group shieldx\..* the one with id the one before, .* --reset-offsets"
    with pytest.raises(FixConfiguration, match=refused):
        async with echoing.worker():
            pass
    await echoing.commit({0: OffsetAndMetadata(0, "")})
    async with echoing.worker(answering := Echoing(echoing.names.echoes)):
        await until(lambda: answering.asked == [1])


async def run_while_its_input_is_created_again(echoing: EchoPlatform) -> None:
    async with echoing.worker() as (worker, _):
        await echoing.recreate_asks()
        await until(lambda: not worker.ready)


async def test_an_input_that_is_created_again_meanwhile_ends_the_worker(echoing: EchoPlatform) -> None:
    with pytest.raises(FixConfiguration, match="was deleted and created again while agent"):
        await run_while_its_input_is_created_again(echoing)
