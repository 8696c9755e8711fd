"""State on disk: a RocksDB database for each task, with a column family for each table."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
from rocksdict import (
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from shieldx.engine.tasks.checkpoint import Checkpoint
from shieldx.errors import FixConfiguration, FreeDisk, RestoreTask, WaitForDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from rocksdict import ColumnFamily

    from shieldx.state.store import StateBatch

logger = logging.getLogger(__name__)

_CHECKPOINT = b"checkpoint"
_OWN = "default"
"""The column family that RocksDB requires. It holds the checkpoint."""
_COPIES = 8
"""Maximum folders per partition. A partition whose folder a frozen process still holds gets another one."""
_FREE_BYTES = 64 * 1024 * 1024
"""Reopening a database after a failed write needs this much free space, since opening it writes as well."""
_MEMTABLE_BYTES = 16 * 1024 * 1024
_LOG_BYTES = 16 * 1024 * 1024
"""Maximum size of the write-ahead log, which a start after a crash reads in some tenths of a second."""
_BLOCK_BYTES = 16 * 1024
_BLOOM_BITS = 10
"""A missing key costs a disk read in 1 of 100 lookups (RocksDB, Full Filters)."""
_SLOWDOWN_FILES, _STOP_FILES = 64, 256
"""From 20 files on, RocksDB would delay writers, and with them this process's heartbeats. A checkpoint that would have
to wait is refused instead, and retried."""
_FULL = ("No space left", "Disk quota exceeded", "File too large")
_BUSY = ("Incomplete", "stall", "Shutdown in progress")
_LOCKED = ("lock hold by current process", "While lock file")
_DAMAGE = ("Corruption", "No such file or directory", "Invalid argument")
"""Only these errors cause a database to be removed. One that cannot be opened for lack of file handles is intact."""
_FORBIDDEN = ("Permission denied", "Read-only file system", "Not a directory")


class RocksStores:
    """All stores of one process. They share a cache and the memory of pending writes."""

    def __init__(self, folder: Path, *, memory_bytes: int) -> None:
        self._folder = folder
        self._cache = Cache(memory_bytes // 2)
        self._buffers = WriteBufferManager(memory_bytes // 2, allow_stall=False)

    def open(self, agent: str, partition: int) -> RocksStore:
        """The store of a task; a damaged one is emptied.

        Raises:
            FreeDisk: the disk has no room for it.
            FixConfiguration: the folder cannot be used.
        """
        for copy in range(_COPIES):
            folder = self._folder / agent / (f"{partition}" if copy == 0 else f"{partition}~{copy}")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                return RocksStore(folder, self._options)
            except _Locked:
                continue
            except OSError as error:
                raise _of(error, folder) from error
        raise FixConfiguration(f"{_COPIES} processes hold partition {partition} of agent {agent} in {self._folder}")

    def _options(self) -> Options:
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_block_size(_BLOCK_BYTES)
        blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(_MEMTABLE_BYTES)
        options.set_max_write_buffer_number(8)  # how many wait for the disk before a checkpoint is refused
        options.set_max_total_wal_size(_LOG_BYTES)
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.1)
        options.set_allow_concurrent_memtable_write(False)
        options.set_atomic_flush(
            True
        )  # otherwise a table could be ahead of the checkpoint once the write-ahead log is gone
        options.set_compression_type(DBCompressionType.none())  # digests and numbers do not compress
        options.set_level_compaction_dynamic_level_bytes(True)
        options.set_level_zero_slowdown_writes_trigger(_SLOWDOWN_FILES)
        options.set_level_zero_stop_writes_trigger(_STOP_FILES)
        options.set_max_background_jobs(2)
        options.set_max_open_files(256)
        options.set_keep_log_file_num(2)
        return options


class _Damaged(RestoreTask):
    """The files are not those that RocksDB wrote."""


class _Locked(Exception):
    """Another process, or another task of this one, has the folder."""


class RocksStore:
    """`TaskStore` on RocksDB. Writes are atomic over all tables and survive the process, not always the machine.

    After a crash of the machine the last writes may be missing, but then their checkpoint is missing with them.
    """

    def __init__(self, folder: Path, options: Callable[[], Options]) -> None:
        self._folder = folder
        self._options = options
        self._writing = WriteOptions()
        self._writing.no_slowdown = True
        self._tables: dict[str, tuple[Rdict, ColumnFamily]] = {}
        self._must_reopen = False
        self._forgetting = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forget")
        try:
            self._open()
        except _Damaged as error:
            logger.warning("the state on disk is damaged and will be restored: %s", error)
            self._empty()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The store's checkpoint, or None while it is empty."""
        value = self.get(_OWN, _CHECKPOINT)
        try:
            return None if value is None else msgspec.json.decode(value, type=Checkpoint)
        except msgspec.MsgspecError as error:
            raise self._damaged(error) from error

    @property
    def size_bytes(self) -> int:
        """About how much disk it takes."""
        return sum(table.property_int_value("rocksdb.total-sst-files-size") or 0 for table, _ in self._tables.values())

    def tables(self) -> Collection[str]:
        """The names of the tables that exist."""
        return self._tables.keys() - {_OWN}

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value of a key.

        Raises:
            RestoreTask: it cannot be read.
        """
        found = self._tables.get(table)
        if found is None:
            self._check_open()
            return None
        try:
            value: bytes | None = found[0].get(key)
        except Exception as error:  # rocksdict raises no more specific error
            raise self._of_read(error) from error
        return value

    def scan(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` up to but excluding `stop`, with their values, in order.

        Raises:
            RestoreTask: they cannot be read.
        """
        found = self._tables.get(table)
        if found is None:
            self._check_open()
            return
        options = ReadOptions()
        options.set_iterate_upper_bound(stop)
        try:
            rows = found[0].iter(options)
            rows.seek(start)
            while rows.valid():
                yield rows.key(), rows.value()
                rows.next()
            rows.status()  # an iterator that reaches damage only becomes invalid
        except Exception as error:  # rocksdict raises nothing more particular
            raise self._of_read(error) from error

    def begin(self) -> StateBatch:
        """A new, empty batch.

        Raises:
            FreeDisk: an earlier write failed, and there is still no room.
            RestoreTask: the store could not be opened again.
        """
        self._check_open()
        if self._must_reopen:
            self._reopen()
        return RocksBatch(self._family)

    def write(self, batch: StateBatch, checkpoint: Checkpoint) -> None:
        """Apply a batch and the checkpoint together.

        Raises:
            FreeDisk: the batch was not applied; the previous checkpoint is still valid.
            RestoreTask: the store is damaged and will be emptied.
        """
        if not isinstance(batch, RocksBatch):
            raise TypeError(f"{type(batch).__name__} belongs to another kind of store")
        batch.put(_OWN, _CHECKPOINT, msgspec.json.encode(checkpoint))
        try:
            self._tables[_OWN][0].write(batch.finished(), self._writing)
        except Exception as error:  # rocksdict raises nothing more particular
            if any(reason in str(error) for reason in _BUSY):
                raise WaitForDisk(f"the disk under {self._folder} is too slow: {error}") from error
            self._must_reopen = True
            raise self._of_write(error) from error
        for table, key in batch.forgotten:
            self._forgetting.submit(self._forget, self._tables[table][0], key)
        for table in batch.dropped:
            if self._tables.pop(table, None) is not None:
                self._drop(table)

    def _drop(self, table: str) -> None:
        """Remove a table. One that cannot be removed now is removed after the next start."""
        try:
            self._tables[_OWN][0].drop_column_family(table)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
            self._must_reopen = True
            logger.warning("table %s in %s was not dropped: %s", table, self._folder, error)

    def _forget(self, table: Rdict, key: bytes) -> None:
        """Rewrite the files that may have a key without what was deleted. The log of writes goes with the first one.

        It may take seconds, so it happens in a thread of its own.
        """
        options = CompactOptions()
        # Otherwise a file that was moved to the last level, without being rewritten, keeps what was deleted.
        options.set_bottommost_level_compaction(BottommostLevelCompaction.force())
        try:
            table.compact_range(key, key + b"\0", options)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
            logger.warning("deleted rows stay in %s until its files are rewritten: %s", self._folder, error)

    def flush(self) -> None:
        """Flush everything to files that need no recovery when they are opened."""
        for table, _ in self._tables.values():
            table.flush()

    def clear(self) -> None:
        """Remove everything."""
        self.close()
        self._empty()

    def close(self) -> None:
        """Close the store so that another task can open it, once everything is forgotten that is to be."""
        self._forgetting.shutdown()
        self._forgetting = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forget")
        tables, self._tables = self._tables, {}
        if tables:
            database = tables.pop(_OWN)[0]
            tables.clear()  # RocksDB keeps its lock as long as one of them is referenced
            try:
                database.close()
            except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more particular
                logger.warning("the state in %s was not closed cleanly: %s", self._folder, error)

    def _check_open(self) -> None:
        """A closed store must not report a key as missing."""
        if not self._tables:
            raise RestoreTask(f"the state in {self._folder} is closed")

    def _open(self) -> None:
        path, options = str(self._folder), self._options()
        try:
            names = Rdict.list_cf(path, options) if (self._folder / "CURRENT").exists() else [_OWN]
            families = {name: self._options() for name in names if name != _OWN}
            database = Rdict(path, options, column_families=families)
        except Exception as error:  # rocksdict raises nothing more particular
            if any(reason in str(error) for reason in _LOCKED):
                raise _Locked(str(error)) from error
            raise _of(error, self._folder) from error
        self._tables = {_OWN: (database, database.get_column_family_handle(_OWN))}
        for name in families:
            self._tables[name] = (database.get_column_family(name), database.get_column_family_handle(name))

    def _family(self, table: str) -> ColumnFamily:
        """The column family of a table, created if missing."""
        found = self._tables.get(table)
        if found is None:
            database = self._tables[_OWN][0]
            try:
                made = database.create_column_family(table, self._options())
            except Exception as error:  # rocksdict raises nothing more particular
                self._must_reopen = True
                raise self._of_write(error) from error
            found = self._tables[table] = (made, database.get_column_family_handle(table))
        return found[1]

    def _empty(self) -> None:
        try:
            shutil.rmtree(self._folder)
            self._folder.mkdir(parents=True)
        except OSError as error:
            raise _of(error, self._folder) from error
        self._open()

    def _reopen(self) -> None:
        """Reopen the database: RocksDB refuses every write after a failed one."""
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise RestoreTask(f"the state on disk no longer exists: {error}") from error
        if free < _FREE_BYTES:
            raise FreeDisk(f"{free} bytes are free under {self._folder}; {_FREE_BYTES} are needed to continue")
        self.close()
        try:
            self._open()
        except (FreeDisk, _Locked) as error:
            raise RestoreTask(f"the state on disk cannot be opened again: {error}") from error
        self._must_reopen = False

    def _of_write(self, error: Exception) -> Exception:
        """Treat a disk that has become read-only like a full one: state on it can still be read."""
        named = _of(error, self._folder)
        if isinstance(named, FixConfiguration):
            return FreeDisk(str(named))
        return self._damaged(error) if isinstance(named, _Damaged) else named

    def _of_read(self, error: Exception) -> Exception:
        named = _of(error, self._folder)
        return self._damaged(error) if isinstance(named, _Damaged) else RestoreTask(str(named))

    def _damaged(self, error: Exception) -> RestoreTask:
        """Remove the state, so that the next task does not find the same damage."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return RestoreTask(f"the state in {self._folder} is damaged and was removed: {error}")


class RocksBatch:
    """`StateBatch` on RocksDB."""

    def __init__(self, family: Callable[[str], ColumnFamily]) -> None:
        self._family = family
        self._families: dict[str, ColumnFamily] = {}
        self._batch = WriteBatch(raw_mode=True)
        self.dropped: list[str] = []
        self.forgotten: list[tuple[str, bytes]] = []

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Set a key. Creates the table if needed."""
        self._batch.put(key, value, self._families.get(table) or self._known(table))

    def delete(self, table: str, key: bytes) -> None:
        """Remove a key, if it exists."""
        self._batch.delete(key, self._families.get(table) or self._known(table))

    def forget(self, table: str, key: bytes) -> None:
        """Remove a key, and once the batch is written its values from the disk."""
        self.delete(table, key)
        self.forgotten.append((table, key))

    def delete_range(self, table: str, start: bytes, stop: bytes) -> None:
        """Remove the keys from `start` up to but excluding `stop`."""
        self._batch.delete_range(start, stop, self._families.get(table) or self._known(table))

    def drop(self, table: str) -> None:
        """Remove a whole table after the batch is written."""
        self.dropped.append(table)

    def finished(self) -> WriteBatch:
        """The batch in RocksDB's own type."""
        return self._batch

    def _known(self, table: str) -> ColumnFamily:
        family = self._families[table] = self._family(table)
        return family


def _of(error: Exception, folder: Path) -> Exception:
    """Convert an error of RocksDB or the operating system to one that is named after the remedy."""
    text = str(error)
    if any(reason in text for reason in _FULL):
        return FreeDisk(f"no room for state under {folder}; free some, or move SHIELDX_STATE_FOLDER: {text}")
    if any(reason in text for reason in _FORBIDDEN):
        return FixConfiguration(f"SHIELDX_STATE_FOLDER cannot be used: {text}")
    if any(reason in text for reason in _DAMAGE):
        return _Damaged(f"{folder}: {text}")
    return RestoreTask(f"{folder}: {text}")
