"""What a fold may rely on, shown for the store on disk and for the one that other tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from shieldx.engine.tasks.checkpoint import Checkpoint
from shieldx.rocksdb.store import RocksStore, RocksStores
from tests.dict_store import DictBatch, DictStore

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.state.store import StateBatch, StateStore

SOME = Checkpoint(version=1, format_level=1, cluster="c", partitions=1, positions={"t": 1}, as_of_ms=0)


class World(Protocol):
    @property
    def store(self) -> StateStore: ...

    def begin(self) -> StateBatch: ...

    def write(self, batch: Any) -> None: ...


class DictWorld:
    def __init__(self) -> None:
        self.store = DictStore()

    def begin(self) -> DictBatch:
        return self.store.begin()

    def write(self, batch: Any) -> None:
        self.store.apply(batch)


class RocksWorld:
    def __init__(self, folder: Path) -> None:
        self.store: RocksStore = RocksStores(folder, memory_bytes=8_000_000).open("a", 0)

    def begin(self) -> StateBatch:
        return self.store.begin()

    def write(self, batch: Any) -> None:
        self.store.write(batch, SOME)


@pytest.fixture(params=["dictionaries", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return DictWorld() if request.param == "dictionaries" else RocksWorld(tmp_path)


def test_what_was_put_is_found_in_its_table_only(world: World) -> None:
    batch = world.begin()
    batch.put("a", b"k", b"1")
    batch.put("b", b"k", b"2")
    batch.put("b", b"k", b"3")
    assert world.store.get("a", b"k") is None, "before it is written"
    world.write(batch)
    assert (world.store.get("a", b"k"), world.store.get("b", b"k")) == (b"1", b"3")
    assert world.store.get("a", b"other") is None
    assert world.store.get("unknown", b"k") is None
    assert set(world.store.tables()) == {"a", "b"}


def test_a_scan_is_in_the_order_of_keys_and_stops_below_its_end(world: World) -> None:
    batch = world.begin()
    for key in (b"c", b"a", b"\xff\xff", b"b", b"b\x00"):
        batch.put("t", key, key * 2)
    world.write(batch)
    assert list(world.store.scan("t", b"b", b"\xff\xff")) == [(b"b", b"bb"), (b"b\x00", b"b\x00b\x00"), (b"c", b"cc")]
    assert list(world.store.scan("t", b"d", b"e")) == []
    assert list(world.store.scan("unknown", b"", b"z")) == []


def test_what_was_deleted_is_gone(world: World) -> None:
    batch = world.begin()
    for key in (b"a", b"b", b"c", b"d"):
        batch.put("t", key, b"")
    world.write(batch)
    batch = world.begin()
    batch.delete("t", b"d")
    batch.delete("t", b"never")
    batch.delete_range("t", b"a", b"c")
    batch.put("t", b"b", b"again")
    world.write(batch)
    assert list(world.store.scan("t", b"", b"z")) == [(b"b", b"again"), (b"c", b"")]


def test_a_table_is_dropped_whole_and_may_come_again(world: World) -> None:
    batch = world.begin()
    batch.put("t", b"k", b"old")
    batch.put("other", b"k", b"stays")
    world.write(batch)
    batch = world.begin()
    batch.drop("t")
    batch.drop("unknown")
    world.write(batch)
    assert set(world.store.tables()) == {"other"}
    assert world.store.get("t", b"k") is None
    batch = world.begin()
    batch.put("t", b"l", b"new")
    world.write(batch)
    assert list(world.store.scan("t", b"", b"z")) == [(b"l", b"new")]
