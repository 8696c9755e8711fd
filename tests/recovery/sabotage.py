"""The engine or the audit fold with one rule taken out. Only a worker process of the recovery test ever calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from aiokafka.errors import IllegalStateError, KafkaError, ProducerFenced

from shieldx.domains.audit.shard_head import ShardHead
from shieldx.domains.audit.tables import REMEMBERED
from shieldx.engine.kafka.kafka_log import KafkaLog, KafkaTransactions
from shieldx.engine.runtime.partition_buffer import PartitionBuffer
from shieldx.engine.runtime.worker import Worker
from shieldx.engine.tasks.task import Task
from shieldx.errors import LeaveTask, RestoreTask
from shieldx.state.deduplication import DeduplicationWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from aiokafka import TopicPartition as KafkaTopicPartition

    from shieldx.domains.audit.head import Head
    from shieldx.domains.audit.keys import SigningKeys
    from shieldx.engine.tasks.log import Record, TopicPartition, Write
    from shieldx.engine.tasks.position import Position


def no_fence() -> None:
    """Give every start of a task a transactional id of its own, so that no predecessor is fenced."""
    fence = KafkaLog.fence

    async def fence_nobody(log: KafkaLog, transactional_id: str) -> KafkaTransactions:
        return await fence(log, f"{transactional_id}.{uuid4().hex}")

    KafkaLog.fence = fence_nobody  # type: ignore[assignment, method-assign]


def no_seek() -> None:
    """Let a task that stays take whatever the group redelivers, behind what it has queued already."""
    assigned, restart, process = Worker.on_partitions_assigned, PartitionBuffer.restart, Task.process

    def leave_positions(worker: Worker, partitions: Collection[KafkaTopicPartition]) -> None:
        consumer, runners = worker._consumer, worker._runners  # noqa: SLF001 - sabotage reaches inside
        seek = consumer.seek
        consumer.seek = lambda tp, offset: None if tp.partition in runners else seek(tp, offset)
        try:
            assigned(worker, partitions)
        finally:
            del consumer.seek

    def only_resume(buffer: PartitionBuffer, positions: Mapping[TopicPartition, int]) -> bool:
        if vars(buffer).setdefault("restarted_for", None) is not positions:
            vars(buffer)["restarted_for"] = positions
            return restart(buffer, positions)
        try:
            buffer._consumer.resume(*buffer.inputs)  # noqa: SLF001 - sabotage reaches inside
        except IllegalStateError:
            return False
        buffer._paused = False  # noqa: SLF001 - sabotage reaches inside
        return True

    async def drop_nothing(task: Task, records: Sequence[Record]) -> int:
        next_offsets = task._positions.next_offsets  # noqa: SLF001 - sabotage reaches inside
        for tp in next_offsets:
            next_offsets[tp] = 0
        return await process(task, records)

    Worker.on_partitions_assigned = leave_positions  # type: ignore[assignment, method-assign]
    PartitionBuffer.restart = only_resume  # type: ignore[assignment, method-assign]
    Task.process = drop_nothing  # type: ignore[assignment, method-assign]


def no_await() -> None:
    """Commit without looking at what became of the deliveries."""

    async def commit(
        transactions: KafkaTransactions,
        writes: Mapping[TopicPartition, Sequence[Write]],
        positions: Mapping[TopicPartition, Position],
    ) -> dict[TopicPartition, int]:
        producer: Any = transactions._producer  # noqa: SLF001 - sabotage reaches inside
        try:
            await producer.begin_transaction()
            for (topic, partition), records in transactions._all(writes, positions).items():  # noqa: SLF001 - likewise
                for builder in transactions._builders(records):  # noqa: SLF001 - sabotage reaches inside
                    delivery = await producer.send_batch(builder, topic, partition=partition)
                    delivery.add_done_callback(lambda done: done.cancelled() or done.exception())
            await producer.commit_transaction()
        except ProducerFenced as error:
            raise LeaveTask(repr(error)) from error
        except (KafkaError, AssertionError) as error:
            raise RestoreTask(repr(error)) from error
        return {}

    KafkaTransactions.commit = commit  # type: ignore[assignment, method-assign]


def no_recall() -> None:
    """Let a shard that is restored know nothing of what it has chained before."""
    restore = DeduplicationWindow.restore

    def restore_others(window: DeduplicationWindow, key: bytes, value: bytes | None) -> None:
        if window._topic != REMEMBERED:  # noqa: SLF001 - sabotage reaches inside
            restore(window, key, value)

    DeduplicationWindow.restore = restore_others  # type: ignore[assignment, method-assign]


def kept_head() -> None:
    """Let a shard that is restored continue from the entry that this process signed last, committed or not."""
    put, trust = ShardHead.put, ShardHead.trust
    heads: dict[int, Head] = {}

    def keep(head: ShardHead, moved: Head) -> None:
        put(head, moved)
        heads[moved.shard] = moved

    def trust_the_kept(head: ShardHead, keyring: SigningKeys) -> Head:
        restored = trust(head, keyring)
        return heads.get(restored.shard, restored)

    ShardHead.put = keep  # type: ignore[assignment, method-assign]
    ShardHead.trust = trust_the_kept  # type: ignore[assignment, method-assign]


VARIANTS: dict[str, Callable[[], None]] = {
    "no-fence": no_fence,
    "no-seek": no_seek,
    "no-await": no_await,
    "no-recall": no_recall,
    "kept-head": kept_head,
}
