"""The ledger: applies commands to accounts, or refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.credits.messages import (
    Abort,
    Code,
    Command,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
)
from shieldx.domains.credits.outcomes import Balances
from shieldx.domains.credits.reservations import Hold
from shieldx.domains.credits.tables import State
from shieldx.domains.credits.transactions import parse_transaction_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.domains.credits.accounts import Accounts
    from shieldx.domains.credits.reservations import Key, Reservations
    from shieldx.domains.credits.transactions import Transactions

LIMIT = 2**63
"""The maximum of totals, so that every consumer can store them in a signed 64-bit integer."""
MAX_TTL_S = 30 * 24 * 3600
NOTHING = Balances(0, 0, 0, 0)


class Ledger:
    """Accounts, holds and refundable transactions of one partition.

    `execute` either applies a command and returns `Code.OK`, or changes nothing and returns the refusal. Checks are
    made in the order of precedence that `Code` defines.
    """

    def __init__(self, accounts: Accounts, reservations: Reservations, transactions: Transactions) -> None:
        self.accounts = accounts
        self.reservations = reservations
        self.transactions = transactions

    def execute(self, command: Command, position: int, at_ms: int) -> Code:
        """Apply one command, or refuse it."""
        return _EXECUTE[type(command)](self, command, position, at_ms)

    def expire(self, key: Key, hold: Hold, at_ms: int) -> Balances:
        """Release an expired hold. Returns the account afterwards."""
        tenant_id, _ = key
        balance, reserved, spent, purchased = self._existing(tenant_id)
        figures = Balances(balance, reserved - hold.remaining, spent, purchased)
        self.accounts.put(tenant_id, figures)
        self.reservations.put(key, hold.closed(State.EXPIRED, at_ms))
        return figures

    def _purchase(self, command: Purchase, position: int, at_ms: int) -> Code:
        amount = command.amount
        if amount <= 0:
            return Code.AMOUNT_NOT_POSITIVE
        balance, reserved, spent, purchased = self.accounts.get(command.tenant_id) or NOTHING
        if purchased + amount >= LIMIT:
            return Code.AMOUNT_TOO_LARGE
        self.accounts.put(command.tenant_id, Balances(balance + amount, reserved, spent, purchased + amount))
        self.transactions.post(command, position, amount, balance + amount, at_ms)
        return Code.OK

    def _consume(self, command: Consume, position: int, at_ms: int) -> Code:
        amount = command.amount
        if not 0 < amount < LIMIT:
            return Code.AMOUNT_NOT_POSITIVE if amount <= 0 else Code.AMOUNT_TOO_LARGE
        figures = self.accounts.get(command.tenant_id)
        if figures is None:
            return Code.TENANT_UNKNOWN
        balance, reserved, spent, purchased = figures
        if balance - reserved < amount:
            return Code.INSUFFICIENT_FUNDS
        self.accounts.put(command.tenant_id, Balances(balance - amount, reserved, spent + amount, purchased))
        self.transactions.post(command, position, amount, balance - amount, at_ms)
        return Code.OK

    def _reserve(self, command: Reserve, position: int, at_ms: int) -> Code:
        amount = command.amount
        if not 0 < amount < LIMIT:
            return Code.AMOUNT_NOT_POSITIVE if amount <= 0 else Code.AMOUNT_TOO_LARGE
        if not 1 <= command.ttl_s <= MAX_TTL_S:
            return Code.TTL_OUT_OF_RANGE
        figures = self.accounts.get(command.tenant_id)
        if figures is None:
            return Code.TENANT_UNKNOWN
        key = (command.tenant_id, command.reservation_id)
        if self.reservations.get(key) is not None:
            return Code.RESERVATION_EXISTS
        balance, reserved, spent, purchased = figures
        if balance - reserved < amount:
            return Code.INSUFFICIENT_FUNDS
        self.accounts.put(command.tenant_id, Balances(balance, reserved + amount, spent, purchased))
        self.reservations.put(key, Hold(amount, at_ms + command.ttl_s * 1000, position))
        return Code.OK

    def _commit(self, command: Commit, position: int, at_ms: int) -> Code:
        amount = command.amount
        if amount is not None and not 0 < amount < LIMIT:
            return Code.AMOUNT_NOT_POSITIVE if amount <= 0 else Code.AMOUNT_TOO_LARGE
        hold = self._open_hold(command.tenant_id, command.reservation_id)
        if isinstance(hold, Code):
            return hold
        if amount is None:
            amount = hold.remaining
        if amount > hold.remaining:
            return Code.EXCEEDS_RESERVATION
        rest = hold.remaining - amount
        settles = command.final or rest == 0
        balance, reserved, spent, purchased = self._existing(command.tenant_id)
        released = hold.remaining if settles else amount
        self.accounts.put(command.tenant_id, Balances(balance - amount, reserved - released, spent + amount, purchased))
        self.reservations.put(
            (command.tenant_id, command.reservation_id),
            hold.closed(State.SETTLED, at_ms) if settles else hold.reduced(rest),
        )
        self.transactions.post(command, position, amount, balance - amount, at_ms)
        return Code.OK

    def _abort(self, command: Abort, position: int, at_ms: int) -> Code:  # noqa: ARG002 - all commands have the same signature
        hold = self._open_hold(command.tenant_id, command.reservation_id)
        if isinstance(hold, Code):
            return hold
        balance, reserved, spent, purchased = self._existing(command.tenant_id)
        self.accounts.put(command.tenant_id, Balances(balance, reserved - hold.remaining, spent, purchased))
        self.reservations.put((command.tenant_id, command.reservation_id), hold.closed(State.SETTLED, at_ms))
        return Code.OK

    def _refund(self, command: Refund, position: int, at_ms: int) -> Code:
        amount = command.amount
        if amount is not None and not 0 < amount < LIMIT:
            return Code.AMOUNT_NOT_POSITIVE if amount <= 0 else Code.AMOUNT_TOO_LARGE
        figures = self.accounts.get(command.tenant_id)
        if figures is None:
            return Code.TENANT_UNKNOWN
        refunded = parse_transaction_id(command.transaction_id)
        left = None if refunded is None else self.transactions.left(command.tenant_id, refunded, at_ms)
        if refunded is None or left is None:
            return Code.TRANSACTION_UNKNOWN
        if left == 0 or (amount or left) > left:
            return Code.EXCEEDS_TRANSACTION
        amount = amount or left
        balance, reserved, spent, purchased = figures
        self.accounts.put(command.tenant_id, Balances(balance + amount, reserved, spent - amount, purchased))
        self.transactions.refund(command.tenant_id, refunded, amount)
        self.transactions.post(command, position, amount, balance + amount, at_ms)
        return Code.OK

    def _open_hold(self, tenant_id: str, reservation_id: str) -> Hold | Code:
        if self.accounts.get(tenant_id) is None:
            return Code.TENANT_UNKNOWN
        hold = self.reservations.get((tenant_id, reservation_id))
        if hold is None:
            return Code.RESERVATION_UNKNOWN
        if hold.state is State.OPEN:
            return hold
        return Code.RESERVATION_EXPIRED if hold.state is State.EXPIRED else Code.RESERVATION_SETTLED

    def _existing(self, tenant_id: str) -> Balances:
        """The balances of a tenant that has a hold, and therefore an account."""
        figures = self.accounts.get(tenant_id)
        if figures is None:
            raise LookupError(f"a hold of tenant {tenant_id!r} has no account: the tables contradict each other")
        return figures


# Bound methods would make each ledger a reference cycle, whose memory outlives its task until the next collection.
# ruff: noqa: SLF001 - the class's own methods
_EXECUTE: dict[type[Command], Callable[..., Code]] = {
    Purchase: Ledger._purchase,
    Consume: Ledger._consume,
    Reserve: Ledger._reserve,
    Commit: Ledger._commit,
    Abort: Ledger._abort,
    Refund: Ledger._refund,
}
