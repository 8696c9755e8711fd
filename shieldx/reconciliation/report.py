"""The findings of a reconciliation: how much each check compared, what is wrong and where, and what lags."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

KEPT_FAULTS = 1000
"""How many faults of each kind are kept individually; all are counted. A wholly wrong topic must not fill memory."""


RESULTS = "results"
ENTRIES = "audit entries"
LETTERS = "dead letters"
ACCOUNTS = "accounts"
SUMS = "sums of results"
ACCOUNTS_OF_RESULTS = "accounts by results"
ENTRIES_OF_RESULTS = "audit entries by results"
ENTRIES_OF_COMMANDS = "audit entries by commands"
MIRRORED_ACCOUNTS = "accounts in Postgres"
MIRRORED_MOVEMENTS = "movements in Postgres"
MIRRORED_SUMS = "sums in Postgres"


class FaultKind(StrEnum):
    """What is wrong with a record or a row."""

    DIFFERS = "differs"
    MISSING = "missing"
    TWICE = "twice"
    FOREIGN = "not of the ledger"
    UNREADABLE = "unreadable"
    SET_ASIDE = "set aside in shieldx.unreadable"
    BALANCE = "does not add up"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault. `place` is a topic or a table. A missing record belongs before `offset`, or at the end if it is None.

    `expected` and `found` contain figures, codes and coordinates, never a producer's own data.
    """

    check: str
    kind: FaultKind
    place: str
    partition: int
    offset: int | None = None
    tenant_id: str | None = None
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        where = f"{self.place}/{self.partition}" + ("" if self.offset is None else f"/{self.offset}")
        tenant = "" if self.tenant_id is None else f" tenant {self.tenant_id!r}"
        said = "; ".join(
            f"{name} {what}" for name, what in (("expected", self.expected), ("found", self.found)) if what
        )
        return f"{where} {self.kind}{tenant}" + (f": {said}" if said else "")


@dataclass
class Check:
    """One comparison, over all partitions."""

    name: str
    compared: int = 0
    counts: Counter[FaultKind] = field(default_factory=Counter)
    """The number of faults by kind, including those that are not kept."""
    faults: list[Fault] = field(default_factory=list)
    lagging: Counter[str] = field(default_factory=Counter)
    """The number of records that cannot be compared yet, or no longer, by reason."""

    def fault(self, kind: FaultKind, place: str, partition: int, **where: int | str | None) -> None:
        """Record a fault."""
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT_FAULTS:
            self.faults.append(Fault(check=self.name, kind=kind, place=place, partition=partition, **where))  # type: ignore[arg-type] # the names are Fault's

    def lags(self, reason: str, count: int = 1) -> None:
        """Record what could not be compared."""
        if count:
            self.lagging[reason] += count


@dataclass(frozen=True, kw_only=True)
class ReconciledPartition:
    """What was done for one partition of the commands."""

    partition: int
    first_offset: int
    """Records below this offset are deleted. The ledger can only be replayed from 0."""
    position: int
    """The ledger's position at the check's start. Everything that it answered below must be in every topic."""
    commands: int
    """The number of records of `credits.commands` that were read."""

    @property
    def replayed(self) -> bool:
        """Whether the ledger was replayed over this partition."""
        return self.first_offset == 0

    def __str__(self) -> str:
        if self.replayed:
            return f"partition {self.partition}: {self.commands} commands replayed, position {self.position}"
        return (
            f"partition {self.partition}: cannot be replayed because records below offset {self.first_offset} "
            f"are deleted. Compared the {self.commands} retained commands"
        )


@dataclass
class ReconciliationReport:
    """All findings."""

    checks: dict[str, Check] = field(default_factory=dict)
    partitions: list[ReconciledPartition] = field(default_factory=list)

    def check(self, name: str) -> Check:
        """The check with that name, created if necessary."""
        return self.checks.setdefault(name, Check(name))

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. Lag is not a fault."""
        return not any(check.counts for check in self.checks.values())

    @property
    def faults(self) -> list[Fault]:
        """The faults that were kept."""
        return [fault for check in self.checks.values() for fault in check.faults]

    @property
    def commands(self) -> int:
        """The number of records of `credits.commands` that were read."""
        return sum(partition.commands for partition in self.partitions)

    def rows(self) -> list[tuple[str, int, int, str]]:
        """For each check: its name, how much was compared, how many faults, and what lags; for a table."""
        return [
            (
                check.name,
                check.compared,
                check.counts.total(),
                ", ".join(f"{count} {reason}" for reason, count in check.lagging.items()),
            )
            for check in self.checks.values()
        ]
