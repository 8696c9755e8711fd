"""Follows the table of wrapped data keys, in the partitions of the tenants that are in use."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.errors import OffsetOutOfRangeError, for_code

from shieldx.domains.privacy.tables import KEYS, SubjectKeys
from shieldx.engine.kafka.access import FAILURES, translated
from shieldx.engine.kafka.clients import connect, new_admin, new_consumer, stop
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import start_at
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import CheckConnection, ShieldXError
from shieldx.sealer.shared_calls import SharedCalls
from shieldx.state.row_key import parse_row_key, row_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import ConsumerRecord

    from shieldx.privacy.key_id import DataKeyId
    from shieldx.sealer.held_keys import HeldKeys

logger = logging.getLogger(__name__)

_POLL_MS = 50
_CHECKS = 5
"""How often the end of each partition is asked for within the time in which an erasure must be seen."""


class KeyTable:
    """The rows of some partitions, as they were at a known time.

    Rows are kept as they are in Kafka: about 430 bytes of memory for a subject with one key.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        seen_within_s: float,
        held: HeldKeys,
    ) -> None:
        """Prepare to read.

        Args:
            connection: how to reach the cluster.
            seen_within_s: rows are not used if it is longer ago that they were known to be current.
            held: forgets the keys that are no longer in the table.
        """
        self._connection = dict(connection)
        self._seen_within_s = seen_within_s
        self._held = held
        self._decode = msgspec.json.Decoder(SubjectKeys).decode
        self._rows: dict[bytes, bytes] = {}
        self._count = 0
        """The partitions of the topic."""
        self._positions: dict[int, int] = {}
        """The next offset of each partition that is read."""
        self._as_of_s: dict[int, float] = {}
        """When each partition was last known to be read to its end."""
        self._epoch = 0
        """Changes when everything read before is forgotten."""
        self._wanted: set[int] = set()
        self._want = asyncio.Event()
        self._moved = asyncio.Condition()
        self._confirmations: SharedCalls[bool] = SharedCalls()
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Connect. Nothing is read yet.

        Raises:
            CheckConnection: no broker responds, or the topic does not exist.
            FixConfiguration: an ACL is missing.
        """
        self._clock = asyncio.get_running_loop().time
        self._consumer = new_consumer(self._connection)
        # Consumers that never fetch: brokers answer a connection in order, and a fetch waits for records.
        self._committed_ends = new_consumer(self._connection)
        self._ends = new_consumer(self._connection, isolation_level="read_uncommitted")
        self._admin = new_admin(self._connection)
        try:
            for client in (self._consumer, self._committed_ends, self._ends, self._admin):
                await connect(client, self._connection, CheckConnection)
                self._stack.push_async_callback(stop, client)
            self._count = await self._partitions()
        except BaseException:
            await self._stack.aclose()
            raise
        self._tasks = [asyncio.create_task(self._read(), name=KEYS), asyncio.create_task(self._keep_confirming())]

    async def stop(self) -> None:
        """Disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._confirmations.stop()
        await self._stack.aclose()

    def is_current(self, tenant_id: str) -> bool:
        """Whether the rows of a tenant are known to be current as of a moment that is not long ago."""
        as_of_s = self._as_of_s.get(home_partition(tenant_id, self._count))
        return as_of_s is not None and self._clock() - as_of_s <= self._seen_within_s

    async def until_current(self, tenant_id: str) -> None:
        """Return once the rows of a tenant are known to be current.

        Raises:
            CheckConnection: the brokers do not respond.
        """
        while not self.is_current(tenant_id):
            number = home_partition(tenant_id, self._count)
            await self._confirmations.call(number, partial(self._confirm, [number]))

    def find(self, tenant_id: str, subject: str) -> SubjectKeys | None:
        """The row of a subject, if it has one."""
        value = self._rows.get(row_key(tenant_id, subject))
        return None if value is None else self._decode(value)

    async def find_key(self, name: DataKeyId, *, uncommitted: bool = False) -> SubjectKeys | None:
        """The row that has a data key; None if no row had it when this was called.

        `uncommitted`: the key may be in a transaction that is being committed.

        Raises:
            CheckConnection: the brokers do not respond.
        """
        read = False
        while (row := self._row_with(name)) is None and not read:
            await self._check_count()
            home = home_partition(name.tenant_id, self._count)
            read = await self._confirm([home], uncommitted=uncommitted, unless=name)
        return row

    def has_key(self, name: DataKeyId) -> bool:
        """Whether a row has a data key, as far as the table was read."""
        return self._row_with(name) is not None

    def _row_with(self, name: DataKeyId) -> SubjectKeys | None:
        row = self.find(name.tenant_id, name.subject)
        return None if row is None or row.find(name.key) is None else row

    async def _confirm(self, numbers: list[int], *, uncommitted: bool = False, unless: DataKeyId | None = None) -> bool:
        """Read what partitions hold now, and note that their rows are current as of now.

        `unless`: return early if this key appears. The result is false if everything was forgotten meanwhile.
        """
        as_of_s, epoch = self._clock(), self._epoch
        self._wanted |= set(numbers)
        self._want.set()
        consumer = self._ends if uncommitted else self._committed_ends
        with translated(self._connection, f"the end of {KEYS} cannot be read", CheckConnection):
            held = await bounds_of(consumer, [TopicPartition(KEYS, number) for number in numbers])
        ends = {tp.partition: bounds.end for tp, bounds in held.items()}

        def is_read() -> bool:
            return all(self._positions.get(number, -1) >= end for number, end in ends.items())

        def is_over() -> bool:
            return epoch != self._epoch or is_read() or (unless is not None and self._row_with(unless) is not None)

        async with self._moved:
            await self._moved.wait_for(is_over)
        if epoch != self._epoch:
            return False
        if is_read():
            for number in numbers:
                self._as_of_s[number] = max(as_of_s, self._as_of_s.get(number, as_of_s))
        return True

    async def _keep_confirming(self) -> None:
        """Note again and again that what is read is current, also while nothing is written."""
        while True:
            await asyncio.sleep(self._seen_within_s / _CHECKS)
            try:
                await self._check_count()
                if self._positions:
                    await self._confirm(sorted(self._positions))
            except (*FAILURES, ShieldXError) as error:
                logger.warning("cannot tell whether %s is read to its end, retrying: %r", KEYS, error)

    async def _check_count(self) -> None:
        """Forget everything if the topic has got more partitions: tenants may have moved to others."""
        count = await self._partitions()
        if count != self._count:
            self._count = count
            await self._forget()

    async def _partitions(self) -> int:
        """How many partitions the topic has now.

        Raises:
            CheckConnection: the brokers do not respond, or the topic does not exist.
        """
        with translated(self._connection, f"{KEYS} cannot be described", CheckConnection):
            (described,) = await self._admin.describe_topics([KEYS])
            if described["error_code"] != 0:
                raise for_code(described["error_code"])(KEYS)
        return len(described["partitions"])

    async def _forget(self) -> None:
        self._wanted, self._rows = set(), {}
        self._positions.clear()
        self._as_of_s.clear()
        self._epoch += 1
        self._held.clear()
        self._want.set()
        async with self._moved:
            self._moved.notify_all()

    async def _read(self) -> None:
        while True:
            try:
                await self._read_some()
            except OffsetOutOfRangeError:
                logger.warning("%s was created again, or has lost records: reading it from its beginning", KEYS)
                await self._forget()
            except FAILURES as error:
                logger.warning("cannot read %s, retrying: %r", KEYS, error)
                await asyncio.sleep(self._seen_within_s / (10 * _CHECKS))

    async def _read_some(self) -> None:
        if self._wanted != set(self._positions):
            await self._assign()
        if not self._positions:
            self._want.clear()
            await self._want.wait()
            return
        epoch = self._epoch
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
        positions = {tp.partition: await self._consumer.position(tp) for tp in self._consumer.assignment()}
        if epoch != self._epoch:
            return
        for records in fetched.values():
            for record in records:
                self._apply(record)
        self._positions.update(positions)
        async with self._moved:
            self._moved.notify_all()

    async def _assign(self) -> None:
        """Read the wanted partitions: new ones from their beginnings."""
        wanted, epoch = set(self._wanted), self._epoch
        added = [TopicPartition(KEYS, number) for number in sorted(wanted - set(self._positions))]
        begins = {tp.partition: held.begin for tp, held in (await bounds_of(self._committed_ends, added)).items()}
        if epoch == self._epoch:
            self._positions |= begins
            offsets = {TopicPartition(KEYS, number): self._positions[number] for number in wanted}
            start_at(self._consumer, offsets)

    def _apply(self, record: ConsumerRecord) -> None:
        try:
            tenant_id, subject = parse_row_key(record.key or b"")
        except ValueError:
            logger.warning("%s/%d/%d is not a row of the table", KEYS, record.partition, record.offset)
            return
        if home_partition(tenant_id, self._count) != record.partition:
            return  # left behind by a tenant that moved to more partitions
        names: frozenset[str] = frozenset()
        if not record.value:
            self._rows.pop(record.key, None)
        else:
            try:
                names = frozenset(key.key for key in self._decode(record.value).keys)
                self._rows[record.key] = record.value
            except DECODE_ERRORS:
                logger.warning("the row at %s/%d/%d cannot be read", KEYS, record.partition, record.offset)
                self._rows.pop(record.key, None)
        self._held.keep_only(tenant_id, subject, names)
