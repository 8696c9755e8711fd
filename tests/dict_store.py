"""A `StateStore` of dictionaries, for tests that open thousands; one suite holds it equal to the one on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

Tables = dict[str, dict[bytes, bytes]]


class DictStore:
    def __init__(self) -> None:
        self._tables: Tables = {}

    def tables(self) -> Collection[str]:
        return self._tables.keys()

    def get(self, table: str, key: bytes) -> bytes | None:
        return self._tables.get(table, {}).get(key)

    def scan(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        rows = self._tables.get(table, {})
        yield from ((key, rows[key]) for key in sorted(rows) if start <= key < stop)

    def begin(self) -> DictBatch:
        return DictBatch()

    def apply(self, batch: DictBatch) -> None:
        for step in batch.steps:
            step(self._tables)
        for table in batch.dropped:
            self._tables.pop(table, None)


class DictBatch:
    def __init__(self) -> None:
        self.steps: list[Callable[[Tables], object]] = []
        self.dropped: list[str] = []

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self.steps.append(lambda tables: tables.setdefault(table, {}).update({key: value}))

    def delete(self, table: str, key: bytes) -> None:
        self.steps.append(lambda tables: tables.setdefault(table, {}).pop(key, None))

    def forget(self, table: str, key: bytes) -> None:
        self.delete(table, key)

    def delete_range(self, table: str, start: bytes, stop: bytes) -> None:
        def remove(tables: Tables) -> None:
            rows = tables.setdefault(table, {})
            for key in [key for key in rows if start <= key < stop]:
                del rows[key]

        self.steps.append(remove)

    def drop(self, table: str) -> None:
        self.dropped.append(table)
