"""The measured commands: purchases once, then consumes of several tenants, encoded beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bench.verdict import Expected
from shieldx.domains.credits.messages import Consume, Purchase
from shieldx.engine.tasks.partitioner import home_partition

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command

TENANTS = 100
PLENTY = 10**12


class Encoded(NamedTuple):
    """A command, ready to be sent."""

    partition: int
    key: bytes
    value: bytes


class Workload:
    """An endless supply of commands with new keys."""

    def __init__(self, partitions: int, tenants: int = TENANTS) -> None:
        self._tenants = tenants
        self._partitions = partitions
        self._encode = msgspec.json.Encoder().encode
        self._number = 0

    def purchases(self) -> list[Encoded]:
        """Purchases of credits for every tenant."""
        return [
            self._encoded(Purchase(tenant_id=f"org-{n}", idempotency_key="opening", amount=PLENTY))
            for n in range(self._tenants)
        ]

    def consumes(self, count: int) -> list[Encoded]:
        """The next `count` consumes, with alternating tenants."""
        first, self._number = self._number, self._number + count
        return [self._consume(number) for number in range(first, first + count)]

    def expected(self) -> Expected:
        """The expected outcome of the purchases and all consumes so far."""
        spent = sum(_amount(number) for number in range(self._number))
        return Expected(self._tenants + self._number, self._tenants * PLENTY - spent)

    def _consume(self, number: int) -> Encoded:
        command = Consume(
            tenant_id=f"org-{number % self._tenants}",
            idempotency_key=f"request-{number:09d}",
            amount=_amount(number),
            description="tokens",
        )
        return self._encoded(command)

    def _encoded(self, command: Command) -> Encoded:
        partition = home_partition(command.tenant_id, self._partitions)
        return Encoded(partition, command.tenant_id.encode(), self._encode(command))


def _amount(number: int) -> int:
    return number % 1000 + 1
