"""What ShieldX uses of aiokafka beyond its public interface, except for fetching: that is in `aiokafka_fetcher`.

aiokafka may rename any of these names in any release. Each has a test in tests/engine/kafka/test_aiokafka_internals.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.producer import sender
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata
from typing_extensions import override

from shieldx.engine.kafka.aiokafka_fetcher import Consumer
from shieldx.engine.kafka.foreign_names import InstallSupportedVersion, checked_overrides, require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.producer.message_accumulator import MessageBatch

T = TypeVar("T")

ERROR_OF_ALL = 2
"""The first version of OffsetFetch whose response has an error code of its own."""
COORDINATOR_TRIES = 20
COORDINATOR_PAUSE_S = 0.25

require(sender, "BACKOFF_OVERRIDE")


def set_first_partition_backoff(backoff_s: float) -> None:
    """Set how long every producer waits before it retries adding a transaction's first partitions.

    The broker refuses them while it writes the markers of the previous transaction. aiokafka uses a constant.
    """
    sender.BACKOFF_OVERRIDE = backoff_s


def last_batch(producer: AIOKafkaProducer, topic: str, partition: int) -> MessageBatch:
    """The last batch for a partition that the producer has not sent yet."""
    return producer._message_accumulator._batches[KafkaTopicPartition(topic, partition)][-1]  # noqa: SLF001 - no public name


def retrieve_failures(producer: AIOKafkaProducer, batches: Iterable[MessageBatch] = ()) -> None:
    """Retrieve the exceptions of a transactional producer's futures, since asyncio logs those never retrieved."""
    waiters = [producer._txn_manager._transaction_waiter]  # noqa: SLF001 - no public name
    waiters += [batch._drain_waiter for batch in batches]  # noqa: SLF001 - no public name
    for waiter in waiters:
        if waiter is not None and waiter.done() and not waiter.cancelled():
            waiter.exception()


async def drop(producer: AIOKafkaProducer) -> None:
    """Close a producer, and drop the batches that its `stop` would wait for."""
    await producer._sender.close()  # noqa: SLF001 - no public way to drop pending batches
    await producer.client.close()


async def ask_broker(admin: AIOKafkaAdminClient, node_id: int, request: Any) -> Any:
    """Send a request to one broker. The client's public methods choose the broker themselves."""
    return await admin._send_request(request, node_id)  # noqa: SLF001 - no public name


async def ask_any_broker(consumer: Consumer, request: Any) -> Any:
    """Send a request to any broker, over a consumer's connection."""
    client = consumer._client  # noqa: SLF001 - no public name
    return await client.send(client.get_random_node(), request)


async def group_offsets(
    admin: AIOKafkaAdminClient, group: str, partitions: Collection[KafkaTopicPartition]
) -> dict[KafkaTopicPartition, OffsetAndMetadata]:
    """The offsets that a group has committed, and the text with each, by partition.

    `AIOKafkaAdminClient.list_consumer_group_offsets` ignores the error code of the response, and reports a coordinator
    that is moving or loading as a group that has committed nothing.

    Raises:
        KafkaError: the group coordinator did not respond within 5 s.
    """
    by_topic: dict[str, list[int]] = {}
    for topic, partition in partitions:
        by_topic.setdefault(topic, []).append(partition)

    async def ask() -> dict[KafkaTopicPartition, OffsetAndMetadata]:
        coordinator = await admin.find_coordinator(group)
        return _offsets_in(await ask_broker(admin, coordinator, OffsetFetchRequest(group, list(by_topic.items()))))

    return await _retried(ask)


class DescribedGroup(NamedTuple):
    """A consumer group."""

    state: str
    members: int


async def describe_group(admin: AIOKafkaAdminClient, group: str) -> DescribedGroup:
    """The state of a group. `AIOKafkaAdminClient.describe_consumer_groups` leaves its error code to the caller.

    Ask for one group at a time: aiokafka cannot decode a response about several.

    Raises:
        KafkaError: the group coordinator did not respond within 5 s.
    """

    async def ask() -> DescribedGroup:
        ((code, _, state, _, _, members, *_),) = (await admin.describe_consumer_groups([group]))[0].groups
        if code:
            raise for_code(code)(group)
        return DescribedGroup(state, len(members))

    return await _retried(ask)


async def _retried(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while the group coordinator is moving or loading. Raises KafkaError."""
    for left in reversed(range(COORDINATOR_TRIES)):
        try:
            return await ask()
        except KafkaError as error:
            if not left or not error.retriable:
                raise
        await asyncio.sleep(COORDINATOR_PAUSE_S)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _offsets_in(response: Any) -> dict[KafkaTopicPartition, OffsetAndMetadata]:
    """The offsets in an OffsetFetch response. Raises the KafkaError of the response or of a partition."""
    error = _error_of_all(response)
    if error is not NoError:
        raise error
    found = {}
    for topic, partitions in response.topics:
        for partition, offset, metadata, code in partitions:
            if code:
                raise for_code(code)(f"{topic}/{partition}")
            if offset >= 0:
                found[KafkaTopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
    return found


def _error_of_all(response: Any) -> Any:
    """The class of the error that an OffsetFetch response reports as a whole."""
    return for_code(response.error_code) if response.API_VERSION >= ERROR_OF_ALL else NoError


@checked_overrides
class _CheckedCoordinator(GroupCoordinator):  # type: ignore[misc] # aiokafka ships no types
    """Looks at the error code of an OffsetFetch response.

    aiokafka 0.14 looks at the codes of its partitions only. A broker that is not the group's coordinator answers with
    the code and without partitions, which aiokafka takes for a group that has never committed.
    """

    @override
    async def _send_req(self, request: Any) -> Any:
        response = await super()._send_req(request)
        if isinstance(request, OffsetFetchRequest):
            self._raise_error_of(response)
        return response

    def _raise_error_of(self, response: Any) -> None:
        """Raise the error of a whole response. The caller retries if it is retriable."""
        error = _error_of_all(response)
        if error is NoError:
            return
        if error in (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            self.coordinator_dead()
        raise error(self.group_id) if error is GroupAuthorizationFailedError else error()


class FetchPosition(NamedTuple):
    """How far a consumer has fetched a partition, and how far it can."""

    position: int
    last_stable_offset: int
    """The offset after the last record that is not part of an open transaction, nor behind the first one of such."""
    high_watermark: int
    """The offset after the last record."""


@checked_overrides
class GroupConsumer(Consumer):
    """A group member. Use it for every consumer with a `group_id`: see `_CheckedCoordinator`."""

    @property
    def _coordinator(self) -> Any:
        """Created by `start`; its class can be set nowhere else."""
        return self._made_coordinator

    @_coordinator.setter
    def _coordinator(self, made: Any) -> None:
        if isinstance(made, GroupCoordinator):
            made.__class__ = _CheckedCoordinator
        self._made_coordinator = made

    @override
    async def start(self) -> None:
        await super().start()
        if not isinstance(self._coordinator, _CheckedCoordinator):
            await self.stop()
            raise InstallSupportedVersion(
                "AIOKafkaConsumer.start of aiokafka made no GroupCoordinator for this consumer, or keeps it elsewhere. "
                "Give it a group_id, and install a version of aiokafka that ShieldX's pyproject.toml allows"
            )

    def check_group(self) -> None:
        """Raise the error that keeps this member out of its group, as `getmany` does.

        Raises:
            KafkaError: the group coordinator rejects this member.
        """
        self._coordinator.check_errors()

    def fetch_position(self, tp: KafkaTopicPartition) -> FetchPosition | None:
        """How far a partition has been fetched; None if it is not assigned or not known yet.

        Public methods raise or wait where this returns None.
        """
        subscription = self._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        state = None if assignment is None or tp not in assignment.tps else assignment.state_value(tp)
        if state is None or state.lso is None or not state.has_valid_position:
            return None
        return FetchPosition(state.position, state.lso, state.highwater)
