"""Sums up accounts independently, from results alone and without any ledger code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.domains.credits.tables import RESULTS
from shieldx.reconciliation.report import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.reconciliation.ends import Ends
    from shieldx.reconciliation.report import Check


class AccountFigures(NamedTuple):
    """The figures of a tenant's account."""

    balance: int
    reserved_funds: int
    total_spent: int
    total_purchased: int

    @classmethod
    def of(cls, said: Any) -> AccountFigures:
        """The figures of a row or of a result's balance, which have more fields."""
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
    """The fields of a result that the sums need, and those that identify its entry."""

    tenant_id: str
    type: str
    code: str
    transaction_id: str
    replayed: bool
    balance: _Balance | None = None
    results: list[ResultRead] = []

    def __post_init__(self) -> None:
        """Refuse a result without a balance, unless its command was unreadable."""
        if self.balance is None and not self.is_unreadable:
            raise ValueError("a result without a balance")

    @property
    def is_unreadable(self) -> bool:
        """Whether its command could not be executed. Then it says nothing about an account and has no entry."""
        return self.code == "unreadable"


read_result = msgspec.json.Decoder(ResultRead).decode

# How each command may change balance, reserved funds, spent and purchased.
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
NOTHING = AccountFigures(0, 0, 0, 0)


@dataclass(slots=True)
class _TenantSum:
    """One tenant: its opening balance, its current figures, and the sum of its movements by result type."""

    opening: int
    figures: AccountFigures
    moved: int = 0
    broken: bool = False


class Sums:
    """Checks that purchases + refunds - consumes - commits equals the balance, and that each step fits its type.

    With `from_nothing`, every tenant starts at 0, otherwise with the figures of its first result.
    """

    def __init__(self, check: Check, ends: Ends, *, from_nothing: bool) -> None:
        self._check = check
        self._ends = ends
        self._from_nothing = from_nothing
        self._tenant_sums: dict[str, _TenantSum] = {}
        self.recent: dict[str, set[AccountFigures]] = {}
        """For tenants with results in flight: all figures that their rows may show."""

    def take(self, result: ResultRead, offset: int) -> None:
        """Add the next result of the partition. One that is replayed or has no balance changes nothing."""
        if result.replayed or result.balance is None:
            return
        tenant_sum = self._tenant_sums.get(result.tenant_id)
        before = () if tenant_sum is None else (tenant_sum.figures,)
        for each in result.results if result.code == "ok" else ():
            if not each.replayed:
                self._step(each, offset)
        self._step(result, offset)
        if offset >= self._ends.settled.results:
            seen = self.recent.setdefault(result.tenant_id, set(before))
            seen.add(self._tenant_sums[result.tenant_id].figures)

    def tenants(self) -> Iterator[tuple[str, AccountFigures]]:
        """Every tenant with its figures."""
        for tenant_id, tenant_sum in self._tenant_sums.items():
            yield tenant_id, tenant_sum.figures

    def finish(self) -> None:
        """Compare each balance with its sum."""
        for tenant_id, tenant_sum in self._tenant_sums.items():
            self._check.compared += 1
            total = tenant_sum.opening + tenant_sum.moved
            if total != tenant_sum.figures.balance and not tenant_sum.broken:
                self._fault(tenant_id, None, f"balance={total}", f"balance={tenant_sum.figures.balance}")

    def _step(self, result: ResultRead, offset: int) -> None:
        balance = result.balance
        if balance is None:
            return
        self._check.compared += 1
        now = AccountFigures.of(balance)
        tenant_sum = self._tenant_sums.get(result.tenant_id)
        if tenant_sum is None:
            begun = NOTHING if self._from_nothing else now
            tenant_sum = self._tenant_sums[result.tenant_id] = _TenantSum(begun.balance, begun)
            if not self._from_nothing:
                return
        before, tenant_sum.figures = tenant_sum.figures, now
        problem = _inconsistency(balance)
        grown = [new - old for new, old in zip(now, before, strict=True)]
        allowed = _ALLOWED.get(result.type) if result.code == "ok" else None
        if problem is None and not (allowed(*grown) if allowed else not any(grown)):
            problem = f"a change that a {result.type} with code {result.code} can make from {before}"
        if problem is not None:
            tenant_sum.broken = True
            self._fault(result.tenant_id, offset, problem, f"{now}, available={balance.available}")
        tenant_sum.moved += abs(grown[0]) * _SIGNS.get(result.type, 0)

    def _fault(self, tenant_id: str, offset: int | None, expected: str, found: str) -> None:
        where = {"offset": offset, "tenant_id": tenant_id, "expected": expected, "found": found}
        self._check.fault(FaultKind.BALANCE, RESULTS, self._ends.partition, **where)


def _inconsistency(balance: _Balance) -> str | None:
    if balance.reserved_funds < 0 or balance.available < 0:
        return "no figure below 0"
    if balance.available != balance.balance - balance.reserved_funds:
        return "available = balance - reserved_funds"
    if balance.balance != balance.total_purchased - balance.total_spent:
        return "balance = total_purchased - total_spent"
    return None
