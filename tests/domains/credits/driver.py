"""Feeds commands to a ledger as the engine does: numbered, on stream time, every due hold expired first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from shieldx.domains.credits.messages import Result
from shieldx.messages import AuditAppend, Output, Source

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command

START_MS = 1_767_268_800_000  # 2026-01-01T12:00:00.000Z
TOPIC = "credits.commands"
CALLS_MAX = 10_000


class Ledger(Protocol):
    def apply(self, command: Command, source: Source) -> list[Output]: ...

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]: ...


class Driver:
    def __init__(self, ledger: Ledger, partition: int = 0, expire_limit: int = 1000) -> None:
        self.ledger = ledger
        self.partition = partition
        self.expire_limit = expire_limit
        self.at_ms = START_MS
        self.offset = 0
        self.outputs: list[Output] = []
        """What the last record gave, expiries first."""

    def send(self, command: Command, after_ms: int = 0) -> Result:
        """Append the command `after_ms` later than the record before it, and return its own result."""
        self.tick(after_ms)
        source = Source(TOPIC, self.partition, self.offset, self.at_ms, msgspec.json.encode(command))
        outputs = self.ledger.apply(command, source)
        self.outputs += outputs
        self.offset += 1
        results = [output.value for output in outputs if output.topic == "credits.results"]
        assert len(results) == 1, "one result for one command"
        assert isinstance(results[0], Result)
        return results[0]

    def tick(self, after_ms: int = 0) -> None:
        """Let `after_ms` pass, and expire what is due then."""
        self.at_ms += after_ms
        self.outputs = []
        for _ in range(CALLS_MAX):
            outputs, more = self.ledger.expire(self.at_ms, self.expire_limit)
            expired = [output for output in outputs if output.topic == "credits.results"]
            assert len(expired) <= self.expire_limit
            self.outputs += outputs
            if not more:
                return
        raise AssertionError(f"more is due after {CALLS_MAX} calls")

    @property
    def results(self) -> list[Result]:
        """What the last record gave to `credits.results`."""
        return [output.value for output in self.outputs if isinstance(output.value, Result)]

    @property
    def appends(self) -> list[AuditAppend]:
        """What the last record gave to `audit.decisions`."""
        return [output.value for output in self.outputs if isinstance(output.value, AuditAppend)]
