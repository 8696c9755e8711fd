"""The home partition of a tenant, as Kafka's default partitioner computes it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from aiokafka.partitioner import murmur2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shieldx.engine.tasks.log import Record


@lru_cache(maxsize=65_536)
def home_partition(tenant_id: str, partitions: int) -> int:
    """The partition of a tenant by murmur2, as the Java client hashes keys.

    librdkafka uses another hash by default, so its users must set `partitioner=murmur2_random`. Cached because murmur2
    takes about 10 µs in Python.
    """
    return (int(murmur2(tenant_id.encode())) & 0x7FFFFFFF) % partitions


class RowsAtHome:
    """Tells rows of tables by whether their tenants are at home in their partition.

    A tenant that moved to more partitions has left its rows behind; its new home has later ones.
    """

    def __init__(self, tenants: Mapping[str, Callable[[bytes], str]], partitions: int) -> None:
        """`tenants` has each table's topic, and a function that gives the tenant of a row's key."""
        self._tenants = tenants
        self._partitions = partitions

    def __call__(self, record: Record) -> bool:
        """Whether a record is of another topic, has no valid key, or belongs to a tenant that is at home there."""
        tenant_of = self._tenants.get(record.topic)
        if tenant_of is None or record.key is None:
            return True
        try:
            return home_partition(tenant_of(record.key), self._partitions) == record.partition
        except UnicodeDecodeError:
            return True  # whoever reads it refuses it or sets it aside
