"""The books summed up once more, from results alone and with nothing of the ledger's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.domains.credits.tables import RESULTS
from shieldx.reconciliation.report import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.reconciliation.ends import Ends
    from shieldx.reconciliation.report import Check


class Figures(NamedTuple):
    """A tenant's account."""

    balance: int
    reserved_funds: int
    total_spent: int
    total_purchased: int

    @classmethod
    def of(cls, said: Any) -> Figures:
        """Those of a row or of a result's balance, which have more."""
        return cls(said.balance, said.reserved_funds, said.total_spent, said.total_purchased)

    def __str__(self) -> str:
        return ", ".join(f"{name}={figure}" for name, figure in self._asdict().items())


class _Balance(msgspec.Struct, frozen=True, gc=False):
    balance: int
    reserved_funds: int
    available: int
    total_spent: int
    total_purchased: int


class ResultRead(msgspec.Struct, frozen=True, gc=False):
    """What of a result the sums need, and what knows its entry."""

    tenant_id: str
    type: str
    code: str
    transaction_id: str
    balance: _Balance
    replayed: bool
    results: list[ResultRead] = []


read_result = msgspec.json.Decoder(ResultRead).decode

# What each command may do to balance, reserved funds, spent and purchased: by how much each grew.
_ALLOWED = {
    "purchase": lambda b, r, s, p: b == p > 0 and r == s == 0,
    "refund": lambda b, r, s, p: b == -s > 0 and r == p == 0,
    "consume": lambda b, r, s, p: b == -s < 0 and r == p == 0,
    "commit": lambda b, r, s, p: b == -s < 0 and r <= b and p == 0,
    "reserve": lambda b, r, s, p: r > 0 and b == s == p == 0,
    "abort": lambda b, r, s, p: r < 0 and b == s == p == 0,
    "expire": lambda b, r, s, p: r < 0 and b == s == p == 0,
}
_SIGNS = {"purchase": 1, "refund": 1, "consume": -1, "commit": -1}
NOTHING = Figures(0, 0, 0, 0)


@dataclass(slots=True)
class _Book:
    """One tenant: the balance it began with, where it is, and the sum of what moved it, by the results' types."""

    opening: int
    figures: Figures
    moved: int = 0
    broken: bool = False


class Sums:
    """Purchases and refunds less consumes and commits are the balance; no step does what its type cannot do.

    With `from_nothing`, every tenant begins with nothing; else with the figures of its first result.
    """

    def __init__(self, check: Check, ends: Ends, *, from_nothing: bool) -> None:
        self._check = check
        self._ends = ends
        self._from_nothing = from_nothing
        self._books: dict[str, _Book] = {}
        self.recent: dict[str, set[Figures]] = {}
        """Of tenants with results in flight: all figures that their rows may show."""

    def take(self, result: ResultRead, offset: int) -> None:
        """The next result of the partition. One that only repeats an earlier one moves nothing."""
        if result.replayed:
            return
        book = self._books.get(result.tenant_id)
        before = () if book is None else (book.figures,)
        for each in result.results if result.code == "ok" else ():
            if not each.replayed:
                self._step(each, offset)
        self._step(result, offset)
        if offset >= self._ends.settled.results:
            seen = self.recent.setdefault(result.tenant_id, set(before))
            seen.add(self._books[result.tenant_id].figures)

    def tenants(self) -> Iterator[tuple[str, Figures]]:
        """Every tenant, with its figures."""
        for tenant_id, book in self._books.items():
            yield tenant_id, book.figures

    def finish(self) -> None:
        """Compare each balance with its sum."""
        for tenant_id, book in self._books.items():
            self._check.compared += 1
            total = book.opening + book.moved
            if total != book.figures.balance and not book.broken:
                self._fault(tenant_id, None, f"balance={total}", f"balance={book.figures.balance}")

    def _step(self, result: ResultRead, offset: int) -> None:
        self._check.compared += 1
        balance = result.balance
        now = Figures.of(balance)
        book = self._books.get(result.tenant_id)
        if book is None:
            begun = NOTHING if self._from_nothing else now
            book = self._books[result.tenant_id] = _Book(begun.balance, begun)
            if not self._from_nothing:
                return
        before, book.figures = book.figures, now
        problem = _inconsistency(balance)
        grown = [new - old for new, old in zip(now, before, strict=True)]
        allowed = _ALLOWED.get(result.type) if result.code == "ok" else None
        if problem is None and not (allowed(*grown) if allowed else not any(grown)):
            problem = f"a {result.type} that ended {result.code} does not lead here from {before}"
        if problem is not None:
            book.broken = True
            self._fault(result.tenant_id, offset, problem, f"{now}, available={balance.available}")
        book.moved += abs(grown[0]) * _SIGNS.get(result.type, 0)

    def _fault(self, tenant_id: str, offset: int | None, expected: str, found: str) -> None:
        where = {"offset": offset, "tenant_id": tenant_id, "expected": expected, "found": found}
        self._check.fault(Kind.BALANCE, RESULTS, self._ends.partition, **where)


def _inconsistency(balance: _Balance) -> str | None:
    if balance.reserved_funds < 0 or balance.available < 0:
        return "no figure below 0"
    if balance.available != balance.balance - balance.reserved_funds:
        return "available = balance - reserved_funds"
    if balance.balance != balance.total_purchased - balance.total_spent:
        return "balance = total_purchased - total_spent"
    return None
