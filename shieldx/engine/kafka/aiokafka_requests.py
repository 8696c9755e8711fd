"""Requests that aiokafka does not have: topic ids, and the producers of open transactions.

Their forms are those of https://kafka.apache.org/protocol. They build on types of aiokafka beyond its public interface.
A change there fails tests/engine/kafka/test_aiokafka_requests.py.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from aiokafka.errors import NoError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from typing_extensions import override

from shieldx.engine.tasks.log import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BytesIO

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
UUID_BYTES = 16

Send = Callable[[Any], Awaitable[Any]]
"""Sends a request to one broker."""


class _Uuid(AbstractType[UUID]):  # type: ignore[misc] # aiokafka ships no types
    @classmethod
    @override
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    @override
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(UUID_BYTES))


class _MetadataResponse(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("topic_authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _DescribeProducersResponse(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition_index", Int32),
                        ("error_code", Int16),
                        ("error_message", _TEXT),
                        (
                            "active_producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("current_txn_start_offset", Int64),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeProducersRequest(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeProducersResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("name", _TEXT), ("partition_indexes", CompactArray(Int32)), _TAGS)),
        _TAGS,
    )


class _ListTransactionsResponse(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("unknown_state_filters", CompactArray(_TEXT)),
        (
            "transaction_states",
            CompactArray(("transactional_id", _TEXT), ("producer_id", Int64), ("transaction_state", _TEXT), _TAGS),
        ),
        _TAGS,
    )


class _ListTransactionsRequest(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = 66
    API_VERSION = 0
    RESPONSE_TYPE = _ListTransactionsResponse
    SCHEMA = Schema(
        ("state_filters", CompactArray(_TEXT)),
        ("producer_id_filters", CompactArray(Int64)),
        _TAGS,
    )


class _Metadata(Request[_MetadataRequest]):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[Any] = [(UUID(int=0), name, {}) for name in topics]

    @override
    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class(self._topics, False, False, {})


class _DescribeProducers(Request[_DescribeProducersRequest]):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 61

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self._topics: list[Any] = [(tp.topic, [tp.partition], {}) for tp in partitions]

    @override
    def build(self, request_struct_class: type[_DescribeProducersRequest]) -> _DescribeProducersRequest:
        return request_struct_class(self._topics, {})


class _ListTransactions(Request[_ListTransactionsRequest]):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 66

    def __init__(self, producer_ids: Iterable[int]) -> None:
        self._producer_ids = list(producer_ids)

    @override
    def build(self, request_struct_class: type[_ListTransactionsRequest]) -> _ListTransactionsRequest:
        return request_struct_class([], self._producer_ids, {})


class OpenProducer(NamedTuple):
    """A producer whose transaction is open in a partition."""

    producer_id: int
    producer_epoch: int
    first_offset: int
    """The offset of the transaction's first record in the partition."""
    last_record_at_ms: int
    """When it wrote the last record to the partition: milliseconds since the epoch."""


async def topic_ids(send: Send, topics: Iterable[str]) -> dict[str, str]:
    """The id of each topic that exists, as Kafka's tools print it.

    A topic that is deleted and created again has another id.

    Raises:
        KafkaError: the broker does not respond, or reports an error about a topic, such as a missing ACL.
    """
    response = await send(_Metadata(topics))
    found = {}
    for code, name, topic_id, *_ in response.topics:
        error = for_code(code)
        if error is NoError:
            found[name] = urlsafe_b64encode(topic_id.bytes).rstrip(b"=").decode()
        elif error is not UnknownTopicOrPartitionError:
            raise error(name)
    return found


async def open_producers(send: Send, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, list[OpenProducer]]:
    """The producers with an open transaction in each partition of which the broker is the leader.

    Partitions about which the broker reports an error are missing: it is not their leader, or this user may not read
    their topic.

    Raises:
        KafkaError: the broker does not respond.
    """
    response = await send(_DescribeProducers(partitions))
    found = {}
    for topic, described, _ in response.topics:
        for partition, code, _, producers, _ in described:
            if for_code(code) is NoError:
                found[TopicPartition(topic, partition)] = [
                    OpenProducer(number, epoch, first_offset, at_ms)
                    for number, epoch, _, at_ms, _, first_offset, _ in producers
                    if first_offset >= 0
                ]
    return found


async def transactional_ids(send: Send, producer_ids: Iterable[int]) -> dict[int, str]:
    """The transactional ids of producers whose transactions the broker coordinates, as far as this user may see them.

    Raises:
        KafkaError: the broker does not respond, or its coordinator is still loading.
    """
    response = await send(_ListTransactions(producer_ids))
    error = for_code(response.error_code)
    if error is not NoError:
        raise error("transactions cannot be listed")
    return {number: name for name, number, *_ in response.transaction_states}
