"""Records of the ledger's tables, as a sink reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits.tables import ACCOUNTS, TRANSACTIONS, AccountRow, TransactionRow
from shieldx.engine.kafka.cluster import Cluster
from shieldx.engine.kafka.offset_range import OffsetRange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.engine.tasks.log import TopicPartition

AT_MS = 1_767_268_800_000


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = AT_MS
    headers: tuple[()] = ()


class UnchangingCluster(Cluster):
    """A cluster to which nothing is written."""

    def __init__(
        self, beginning: int = 0, end: int = 1_000_000, *, cluster_id: str = "one", created: str = "Monday"
    ) -> None:
        super().__init__({})
        self._created = created
        self._id = cluster_id
        self._held = OffsetRange(beginning, end)

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return {topic: f"{topic} of {self._created}" for topic in topics}

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetRange]:
        return dict.fromkeys(partitions, self._held)


def account(offset: int, tenant: str, balance: int, *, partition: int = 0) -> Record:
    row = AccountRow(tenant, balance, 0, 0, balance)
    return Record(ACCOUNTS, partition, offset, tenant.encode(), msgspec.json.encode(row))


def transaction(
    offset: int, tenant: str, amount: int = 7, *, key: str = "k", partition: int = 0, description: str = ""
) -> Record:
    transaction_id = f"{partition}-{offset}"
    row = TransactionRow(tenant, transaction_id, "purchase", amount, amount, AT_MS, key, description)
    return Record(TRANSACTIONS, partition, offset, f"{tenant}/{transaction_id}".encode(), msgspec.json.encode(row))
