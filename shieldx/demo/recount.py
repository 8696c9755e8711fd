"""The independent recount: applies a second implementation of the rules to what was sent, in log order.

Only what is unknown before sending comes from `credits.commands`: the order of records in a partition, and when the
broker appended them (stream time, which decides when holds expire). Everything else comes from the story.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.demo.plain_ledger import PlainLedger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.demo.plain_ledger import Account
    from shieldx.demo.steps import Step


class Appended(NamedTuple):
    """A record of `credits.commands`. `sequence` is None for a tick, which only advances time."""

    offset: int
    at_ms: int
    sequence: int | None
    value: bytes | None


class DeadLetterSeen(NamedTuple):
    """A dead-lettered record and the reason."""

    partition: int
    offset: int
    reason: str


@dataclass
class Recount:
    """The expected outcome."""

    accounts: dict[str, Account] = field(default_factory=dict)
    answers: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """By the record's number: its code, and whether it repeats an earlier command."""
    expiries: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead_letters: set[DeadLetterSeen] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    """Where the log differs from what was sent."""


def recount(sent: Sequence[Step], log: Sequence[Sequence[Appended]]) -> Recount:
    """Replay the log of every partition."""
    total = Recount()
    arrived: Counter[int] = Counter()
    for partition, records in enumerate(log):
        ledger = _PartitionRecount(partition, sent, total)
        for record in records:
            arrived.update(ledger.take(record))
        total.accounts |= ledger.accounts
    for sequence, step in enumerate(sent):
        if arrived[sequence] != 1:
            total.faults.append(f"record {sequence} ({step.kind}) is in the log {arrived[sequence]} times")
    return total


class _PartitionRecount:
    def __init__(self, partition: int, sent: Sequence[Step], total: Recount) -> None:
        self._partition = partition
        self._sent = sent
        self._total = total
        self._ledger = PlainLedger()
        self._open: dict[tuple[str, str], int] = {}
        """When each open hold expires."""
        self._now_ms = 0

    @property
    def accounts(self) -> dict[str, Account]:
        """The accounts of tenants that have made a purchase."""
        return {tenant_id: account for tenant_id, account in self._ledger.accounts.items() if account.known}

    def take(self, record: Appended) -> list[int]:
        """Advance time to a record, then execute it. Returns the record's number if it is on its home partition."""
        if record.at_ms > self._now_ms:
            self._now_ms = record.at_ms
            self._expire()
        if record.sequence is None:
            return []
        place = f"{self._partition}-{record.offset}"
        step = self._sent[record.sequence]
        if record.value != step.value:
            self._total.faults.append(f"transaction {place} differs from what was sent as record {record.sequence}")
        if step.dead_letter is not None:
            self._total.dead_letters.add(DeadLetterSeen(self._partition, record.offset, step.dead_letter))
            if step.answered:
                self._total.answers[record.sequence] = (step.dead_letter, False)
            return [record.sequence]
        if self._partition != step.home:
            return []  # misplaced: the agent forwards it
        command = msgspec.json.decode(step.value)
        self._total.answers[record.sequence] = self._ledger.execute(command, place, self._now_ms)
        for each in (command, *command.get("commands", ())):
            self._note_hold(step.tenant_id, each.get("reservation_id", ""))
        return [record.sequence]

    def _note_hold(self, tenant_id: str, reservation_id: str) -> None:
        hold = self._ledger.accounts[tenant_id].holds.get(reservation_id)
        if hold is None:
            return
        if hold.ended is None:
            self._open[tenant_id, reservation_id] = hold.expires_at_ms
        else:
            self._open.pop((tenant_id, reservation_id), None)

    def _expire(self) -> None:
        for key in [key for key, expires_at_ms in self._open.items() if expires_at_ms <= self._now_ms]:
            del self._open[key]
            self._ledger.expire(*key)
            self._total.expiries[key] += 1
