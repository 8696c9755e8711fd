"""State on disk through crashes, damage, a full disk, and more than one owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shieldx.engine.tasks.checkpoint import Checkpoint
from shieldx.errors import FixConfiguration, RestoreTask
from shieldx.rocksdb.store import RocksStores
from tests import programs

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.rocksdb.store import RocksStore

MEMORY_BYTES = 128_000_000


def at(position: int) -> Checkpoint:
    return Checkpoint(version=1, format_level=1, cluster="c", partitions=1, positions={"t": position}, as_of_ms=0)


def stores(folder: Path) -> RocksStores:
    return RocksStores(folder, memory_bytes=MEMORY_BYTES)


def put(store: RocksStore, number: int, *, count: int = 1, size: int = 1) -> None:
    batch = store.begin()
    for index in range(count):
        batch.put("t", b"%d-%d" % (number, index), os.urandom(size))
    store.write(batch, at(number))


def position(store: RocksStore) -> int | None:
    return None if store.checkpoint is None else store.checkpoint.positions["t"]


def test_rows_and_checkpoint_are_there_when_it_is_opened_again(tmp_path: Path) -> None:
    store = stores(tmp_path).open("credits", 3)
    assert store.checkpoint is None
    put(store, 7)
    store.close()
    again = stores(tmp_path).open("credits", 3)
    assert again.checkpoint == at(7)
    assert again.get("t", b"7-0") is not None


def files_with(folder: Path, secret: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


def put_ada(store: RocksStore, number: int, secret: bytes) -> None:
    batch = store.begin()
    batch.put("t", b"ada", secret)
    batch.put("t", b"bob", b"bob's own")
    store.write(batch, at(number))


def forget_ada(store: RocksStore, number: int) -> None:
    batch = store.begin()
    batch.forget("t", b"ada")
    store.write(batch, at(number))


@pytest.mark.parametrize("flushed", [False, True])
def test_what_is_forgotten_is_in_no_file(tmp_path: Path, flushed: bool) -> None:
    """Its neighbours stay, whether the row was only in the log of writes or in files of several levels."""
    store = stores(tmp_path).open("privacy", 3)
    secrets = (b"first secret", b"second secret", b"third secret")
    for number, secret in enumerate(secrets):
        store.flush()
        put_ada(store, number, secret)
    if flushed:
        store.flush()
        store.close()
        store = stores(tmp_path).open("privacy", 3)
    assert files_with(tmp_path, secrets[-1])
    forget_ada(store, 3)
    store.close()
    assert [files_with(tmp_path, secret) for secret in secrets] == [[], [], []]
    again = stores(tmp_path).open("privacy", 3)
    assert (again.get("t", b"ada"), again.get("t", b"bob")) == (None, b"bob's own")
    assert again.checkpoint == at(3)


def test_another_partition_or_agent_has_another_store(tmp_path: Path) -> None:
    put(stores(tmp_path).open("credits", 3), 7)
    assert stores(tmp_path).open("credits", 4).checkpoint is None
    assert stores(tmp_path).open("audit", 3).checkpoint is None


CRASH = """
import os, sys
from pathlib import Path
from tests.rocksdb.test_rocks import put, stores
store = stores(Path(sys.argv[1])).open("credits", 0)
number = 0
while True:
    number += 1
    put(store, number, count=50, size=200)
    print(number, flush=True)
"""


def test_a_killed_process_leaves_rows_and_checkpoint_that_belong_together(tmp_path: Path) -> None:
    arguments: list[str | Path] = [sys.executable, "-c", CRASH, tmp_path]
    with programs.start(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        written = [int(process.stdout.readline()) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    store = stores(tmp_path).open("credits", 0)
    last = position(store)
    assert last is not None
    assert last >= written[-1], "what was said to be written is written, whatever becomes of the process"
    assert len(list(store.scan("t", b"", b"\xff"))) == 50 * last, "no row of a later batch, and none missing"


@pytest.mark.parametrize("victim", ["CURRENT", "*.sst", "MANIFEST-*", "*.log"])
def test_a_damaged_store_is_emptied_when_it_is_opened_or_at_an_earlier_checkpoint(victim: str, tmp_path: Path) -> None:
    store = stores(tmp_path).open("credits", 0)
    for number in range(1, 10):
        put(store, number, count=1000, size=1000)
    if victim != "*.log":
        store.flush()
    store.close()
    for path in (tmp_path / "credits" / "0").glob(victim):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    store = stores(tmp_path).open("credits", 0)
    assert len(list(store.scan("t", b"", b"\xff"))) == 1000 * (position(store) or 0)
    put(store, 1)
    assert position(store) == 1


def test_damage_met_while_reading_empties_it_for_the_next_task(tmp_path: Path) -> None:
    store = stores(tmp_path).open("credits", 0)
    put(store, 1, count=1000, size=1000)
    store.flush()
    store.close()
    path = max((tmp_path / "credits" / "0").glob("*.sst"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 2] = os.urandom(len(content) // 2 - len(content) // 4)
    path.write_bytes(content)
    store = stores(tmp_path).open("credits", 0)
    assert store.checkpoint is not None, "it is not seen when it is opened"
    with pytest.raises(RestoreTask, match="damaged"):
        list(store.scan("t", b"", b"\xff"))
    with pytest.raises(RestoreTask, match="closed"):
        store.begin()
    store.close()
    assert stores(tmp_path).open("credits", 0).checkpoint is None


def test_a_store_that_is_closed_says_so_and_not_that_nothing_is_there(tmp_path: Path) -> None:
    store = stores(tmp_path).open("credits", 0)
    put(store, 1)
    store.close()
    with pytest.raises(RestoreTask, match="closed"):
        store.get("t", b"1-0")


def test_who_comes_while_a_frozen_process_has_the_store_gets_another_one(tmp_path: Path) -> None:
    first = stores(tmp_path).open("credits", 0)
    put(first, 1)
    second = stores(tmp_path).open("credits", 0)
    assert second.checkpoint is None
    put(second, 2)
    first.close()
    assert position(stores(tmp_path).open("credits", 0)) == 1, "the older one: its age and the log decide on its use"


def test_a_folder_that_may_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(FixConfiguration, match="SHIELDX_STATE_FOLDER"):
        stores(tmp_path / "state").open("credits", 0)


FULL = """
import resource, sys
from pathlib import Path
from shieldx.errors import FreeDisk
from tests.rocksdb.test_rocks import position, put, stores

store = stores(Path(sys.argv[1])).open("credits", 0)
put(store, 1, count=10)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
for attempt in range(3):
    try:
        put(store, 2 + attempt, count=1000, size=1000)
    except FreeDisk as error:
        print("refused:", error)
print("still", position(store), len(list(store.scan("t", b"", b"\\xff"))))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
put(store, 9, count=1000, size=1000)
print("then", position(store), len(list(store.scan("t", b"", b"\\xff"))))
"""


def test_a_full_disk_refuses_a_checkpoint_and_takes_the_next_once_there_is_room(tmp_path: Path) -> None:
    """A limit on file sizes acts like a full disk: the kernel refuses the write in both cases."""
    run = programs.run_python(FULL, tmp_path)
    lines = run.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["refused", "refused", "refused", "still 1 10", "then 9 1010"], (
        run.stdout + run.stderr
    )
    assert "SHIELDX_STATE_FOLDER" in lines[0]
