from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2

from shieldx.engine.tasks.partitioner import home_partition

JAVA_MURMUR2 = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}
"""The examples in the Java client's own tests."""


@pytest.mark.parametrize(("key", "signed"), JAVA_MURMUR2.items())
def test_keys_are_hashed_as_the_java_client_hashes_them(key: str, signed: int) -> None:
    assert int(murmur2(key.encode())) & 0xFFFFFFFF == signed & 0xFFFFFFFF


@pytest.mark.parametrize("partitions", [1, 2, 12, 1000])
@pytest.mark.parametrize(("key", "signed"), JAVA_MURMUR2.items())
def test_the_sign_is_cut_off_before_the_remainder_is_taken(key: str, signed: int, partitions: int) -> None:
    assert home_partition(key, partitions) == (signed & 0x7FFFFFFF) % partitions


def test_tenants_are_hashed_as_utf_8() -> None:
    assert home_partition("käse", 1000) == (int(murmur2(b"k\xc3\xa4se")) & 0x7FFFFFFF) % 1000


def test_tenants_spread_over_all_partitions() -> None:
    homes = [home_partition(f"tenant-{number}", 8) for number in range(8000)]
    assert all(900 < homes.count(partition) < 1100 for partition in range(8))
