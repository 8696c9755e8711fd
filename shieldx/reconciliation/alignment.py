"""Compares an expected sequence with an actual one, and names and locates every difference."""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.reconciliation.report import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from shieldx.reconciliation.report import Check

WINDOW = 512
"""How far both sides are searched for the next match. If more records are missing in one piece, the others are
reported as records that differ."""
IN_FLIGHT, NOT_CHAINED = "in flight", "not yet in the log"
UNREADABLE = "unreadable"
"""The only field of an unreadable record: its length in bytes."""
_SHOWN_CHARACTERS = 80
PRIVATE = frozenset({"actor", "description"})
"""Only the names of these fields are shown, since their values may be personal data."""


class Found(NamedTuple):
    """A record that was read: its content and its location.

    A `pending` record is not chained yet, which is not a fault.
    """

    content: Any
    place: str
    offset: int
    pending: bool = False


class Unreadable(NamedTuple):
    """A record whose content does not belong in its topic."""

    length: int


class Reading:
    """How contents are compared and named. This base class handles named tuples."""

    def read(self, content: Any) -> Any:
        """The meaning of a content. Contents with the same meaning may differ in their bytes."""
        return content

    def agree(self, expected: Any, found: Any) -> bool:
        """Whether two contents returned by `read` agree."""
        return bool(expected == found)

    def fields(self, said: Any) -> Mapping[str, Any]:
        """The content by field, including `tenant_id`."""
        return {UNREADABLE: said.length} if isinstance(said, Unreadable) else said._asdict()


class Alignment:
    """Compares both sequences as they arrive, with bounded memory.

    Everything expected must be found, except for the end of what was expected after `now_in_flight`.
    """

    def __init__(
        self,
        check: Check,
        reading: Reading,
        found: AsyncGenerator[Sequence[Found], None],
        *,
        place: str,
        partition: int,
    ) -> None:
        """`place` is the location that is reported for missing records."""
        self._check = check
        self._reading = reading
        self._source = found
        self._place = place
        self._partition = partition
        self._expected: deque[Any] = deque()
        self._found: deque[Found] = deque()
        self._drained = False
        self._last: Any = None
        self._taken = 0
        self._in_flight_from: float = inf

    def now_in_flight(self) -> None:
        """From now on, expected records may not have been written yet."""
        self._in_flight_from = min(self._in_flight_from, self._taken + len(self._expected))

    async def expect(self, contents: Iterable[Any]) -> None:
        """Add the next expected records."""
        self._expected.extend(contents)
        await self._compare(final=False)

    async def exhausted(self) -> bool:
        """Whether everything found has been compared."""
        await self._fetch(1)
        return not self._found

    async def finish(self) -> None:
        """Nothing else is expected: everything found from here is surplus."""
        await self._compare(final=True)
        while await self._fetch(1):
            while self._found:
                self._too_much(self._found.popleft())

    async def close(self) -> None:
        """Stop reading."""
        await self._source.aclose()

    async def _fetch(self, count: int) -> bool:
        """Load `count` found records, or all that are left. Returns whether there are any."""
        while len(self._found) < count and not self._drained:
            try:
                self._found.extend(await anext(self._source))
            except StopAsyncIteration:
                self._drained = True
        return bool(self._found)

    async def _compare(self, *, final: bool) -> None:
        while self._expected:
            await self._fetch(len(self._expected))
            self._pass_equal()
            if not self._expected:
                return
            if not self._found:
                self._lack([self._take() for _ in range(len(self._expected))], at_end=True)
                return
            if len(self._expected) < WINDOW and not final:
                return
            await self._fetch(WINDOW)
            self._resolve()

    def _pass_equal(self) -> None:
        expected, found, reading, check = self._expected, self._found, self._reading, self._check
        while expected and found:
            wanted, (content, _, _, pending) = expected[0], found[0]
            if wanted != content and not reading.agree(reading.read(wanted), reading.read(content)):
                return
            if pending:
                check.lags(NOT_CHAINED)
            else:
                check.compared += 1
            self._last = self._take()
            found.popleft()

    def _take(self) -> Any:
        self._taken += 1
        return self._expected.popleft()

    def _resolve(self) -> None:
        """Find the nearest match of both sequences. Everything before it differs, is missing or is surplus."""
        reading = self._reading
        wanted = [reading.read(content) for content in islice(self._expected, WINDOW)]
        got = [reading.read(each.content) for each in islice(self._found, WINDOW)]
        lacking, surplus = self._nearest(wanted, got)
        gone = [self._take() for _ in range(lacking)]
        here = [self._found.popleft() for _ in range(surplus)]
        real = [each for each in here if not each.pending]
        at_end = lacking == len(wanted)
        if len(gone) == len(real) and all(map(self._are_alike, gone, real)):
            for content, each in zip(gone, real, strict=True):
                self._differ(content, each)
            return
        for each in real:
            self._too_much(each)
        self._lack(gone, at_end=at_end)

    def _nearest(self, wanted: list[Any], got: list[Any]) -> tuple[int, int]:
        agree = self._reading.agree
        for steps in range(1, len(wanted) + len(got) - 1):
            half = steps // 2
            reachable = range(max(0, steps - len(got) + 1), min(steps, len(wanted) - 1) + 1)
            # Prefer the same number on both sides: an edited record is more common than one deleted and one inserted.
            for ahead in (half, *reachable) if half in reachable else reachable:
                if agree(wanted[ahead], got[steps - ahead]):
                    return ahead, steps - ahead
        return len(wanted), len(got)

    def _are_alike(self, content: Any, found: Found) -> bool:
        """Whether one may be an edited version of the other: most fields are equal, or it is unreadable."""
        wanted, got = self._both(content, found)
        same = sum(wanted[name] == got.get(name) for name in wanted)
        return UNREADABLE in got or same > len(wanted) - same

    def _both(self, content: Any, found: Found) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        reading = self._reading
        return reading.fields(reading.read(content)), reading.fields(reading.read(found.content))

    def _differ(self, content: Any, found: Found) -> None:
        self._check.compared += 1
        wanted, got = self._both(content, found)
        names = [name for name in {**wanted, **got} if wanted.get(name) != got.get(name)]
        said = {"expected": shown(wanted, names), "found": shown(got, names)}
        self._fault(Kind.DIFFERS, found.place, found.offset, wanted, **said)

    def _lack(self, contents: Sequence[Any], *, at_end: bool) -> None:
        before = self._found[0].offset if self._found else None
        for number, content in enumerate(contents, self._taken - len(contents)):
            if at_end and number >= self._in_flight_from:
                self._check.lags(IN_FLIGHT)
                continue
            said = self._reading.fields(self._reading.read(content))
            self._fault(Kind.MISSING, self._place, before, said, expected=shown(said, said))

    def _too_much(self, found: Found) -> None:
        if found.pending:
            return
        said = self._reading.read(found.content)
        again = self._last is not None and self._reading.agree(self._reading.read(self._last), said)
        fields = self._reading.fields(said)
        kind = Kind.TWICE if again else Kind.FOREIGN
        self._fault(kind, found.place, found.offset, fields, found=shown(fields, fields))

    def _fault(self, kind: Kind, place: str, offset: int | None, fields: Mapping[str, Any], **said: str) -> None:
        self._check.fault(kind, place, self._partition, offset=offset, tenant_id=fields.get("tenant_id"), **said)


def shown(fields: Mapping[str, Any], names: Iterable[str]) -> str:
    """Some fields as text. Of fields that may be personal data, only the name."""
    return ", ".join(
        name if name in PRIVATE else f"{name}={str(fields[name])[:_SHOWN_CHARACTERS]}"
        for name in names
        if name in fields and fields[name] is not None
    )
