"""Where a record belongs: the partition that Kafka's default partitioner gives its tenant."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def home_partition(tenant_id: str, partitions: int) -> int:
    """The partition of a tenant by murmur2, as the Java client hashes keys.

    librdkafka hashes differently by default: its users set `partitioner=murmur2_random`. Cached, since murmur2 in
    Python takes about 10 µs.
    """
    return (int(murmur2(tenant_id.encode())) & 0x7FFFFFFF) % partitions
