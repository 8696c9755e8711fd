"""A cache of the most recently used sample sets."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from shieldx.evaluators.errors import AnswerWithError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shieldx.evaluators.encoded_set import EncodedSet
    from shieldx.evaluators.metrics import EvaluatorMetrics
    from shieldx.evaluators.sample_reader import Place

CACHE_BYTES = 512 * 1024 * 1024
"""If the sets judged concurrently exceed this size, a set is read from Kafka again for each batch."""
ERROR_BYTES = 4096
"""The approximate size of an unusable set's cache entry."""
LOADS_AT_ONCE = 2
"""Each load may use as much memory as the largest set. With a single load, a stalled partition would block all
others."""


class SetCache:
    """Batches that need the same set wait for the same load.

    The information that a set is incomplete is cached too, so that its other batches do not read it again. Records at
    an offset never change, and samples imported again are at other offsets.
    """

    def __init__(
        self,
        read: Callable[[Place], Awaitable[EncodedSet]],
        metrics: EvaluatorMetrics,
        *,
        max_bytes: int = CACHE_BYTES,
    ) -> None:
        self._read = read
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._known: OrderedDict[Place, EncodedSet | AnswerWithError] = OrderedDict()
        self._loads: dict[Place, asyncio.Task[EncodedSet | AnswerWithError]] = {}
        self._loading = asyncio.Semaphore(LOADS_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel the loads that nobody waits for."""
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    async def get(self, place: Place) -> EncodedSet:
        """The set at a place.

        Raises:
            AnswerWithError: The set cannot be used.
            FixConfiguration, RestoreTask: The set cannot be read now.
        """
        found = self._known.get(place)
        if found is None:
            # Shielded: if one waiter is cancelled, the others continue to wait.
            found = await asyncio.shield(self._load(place))
        else:
            self._known.move_to_end(place)
        if isinstance(found, AnswerWithError):
            raise AnswerWithError(str(found))
        return found

    def _load(self, place: Place) -> asyncio.Task[EncodedSet | AnswerWithError]:
        load = self._loads.get(place)
        if load is None:
            load = self._loads[place] = asyncio.create_task(self._read_and_keep(place))
            load.add_done_callback(_retrieve_exception)
        return load

    async def _read_and_keep(self, place: Place) -> EncodedSet | AnswerWithError:
        try:
            async with self._loading:
                self._metrics.set_loads.inc()
                found: EncodedSet | AnswerWithError
                try:
                    found = await self._read(place)
                except AnswerWithError as error:
                    found = error.with_traceback(None)
            self._keep(place, found)
            return found
        finally:
            del self._loads[place]

    def _keep(self, place: Place, found: EncodedSet | AnswerWithError) -> None:
        self._known[place] = found
        self._size_bytes += _size_bytes(found)
        while self._size_bytes > self._max_bytes and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._size_bytes -= _size_bytes(dropped)


def _size_bytes(found: EncodedSet | AnswerWithError) -> int:
    return ERROR_BYTES if isinstance(found, AnswerWithError) else found.size_bytes


def _retrieve_exception(load: asyncio.Task[EncodedSet | AnswerWithError]) -> None:
    """Retrieve a load's exception: asyncio logs one that is never retrieved, as when all waiters were cancelled."""
    if not load.cancelled():
        load.exception()
