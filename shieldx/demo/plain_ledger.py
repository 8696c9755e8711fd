"""The rules of credits, implemented a second time for the recount: one plain dictionary per tenant, no ledger code.

Commands are the JSON objects that were sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

_LIMIT = 2**63
_LONGEST_TTL_S = 30 * 24 * 3600
Json = dict[str, Any]


class Hold(NamedTuple):
    """A hold on credits. `ended` is the code that a later commit or abort gets."""

    left: int
    expires_at_ms: int
    ended: str | None = None


@dataclass
class Account:
    """The account of one tenant."""

    balance: int = 0
    reserved: int = 0
    spent: int = 0
    purchased: int = 0
    known: bool = False
    holds: dict[str, Hold] = field(default_factory=dict)
    refundable: dict[str, int] = field(default_factory=dict)
    """The refundable amount by transaction."""
    codes: dict[str, tuple[Json, str]] = field(default_factory=dict)
    """Command and code by idempotency key."""

    def copy(self) -> Account:
        """A copy that can be discarded."""
        return Account(
            self.balance,
            self.reserved,
            self.spent,
            self.purchased,
            self.known,
            dict(self.holds),
            dict(self.refundable),
            dict(self.codes),
        )


class PlainLedger:
    """Accounts by tenant. A command is executed at most once per key."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def execute(self, command: Json, place: str, at_ms: int) -> tuple[str, bool]:
        """The command's code, and whether it repeats an earlier command. `place` becomes its transaction id."""
        tenant_id, key = command["tenant_id"], command["idempotency_key"]
        account = self.accounts.setdefault(tenant_id, Account())
        if key in account.codes:
            before, code = account.codes[key]
            return (code, True) if before == command else ("idempotency_conflict", False)
        if command["type"] == "batch":
            code = self._batch(command, place, at_ms)
        else:
            code = _RULES[command["type"]](account, command, place, at_ms)
        self.accounts[tenant_id].codes[key] = command, code
        return code, False

    def expire(self, tenant_id: str, reservation_id: str) -> None:
        """Release an expired hold."""
        account = self.accounts[tenant_id]
        _release(account, reservation_id, "reservation_expired")

    def _batch(self, batch: Json, place: str, at_ms: int) -> str:
        before = self.accounts[batch["tenant_id"]].copy()
        for index, command in enumerate(batch["commands"]):
            code, _ = self.execute(command, f"{place}-{index}", at_ms)
            if batch["atomic"] and code != "ok":
                self.accounts[batch["tenant_id"]] = before
                return "batch_aborted"
        return "ok"


def _purchase(account: Account, command: Json, _place: str, _at_ms: int) -> str:
    amount = command["amount"]
    if amount <= 0:
        return "amount_not_positive"
    if account.purchased + amount >= _LIMIT:
        return "amount_too_large"
    account.known = True
    account.balance += amount
    account.purchased += amount
    return "ok"


def _consume(account: Account, command: Json, place: str, _at_ms: int) -> str:
    amount = command["amount"]
    if refusal := _wrong_amount(amount):
        return refusal
    if not account.known:
        return "tenant_unknown"
    if amount > account.balance - account.reserved:
        return "insufficient_funds"
    _spend(account, amount, place)
    return "ok"


def _reserve(account: Account, command: Json, _place: str, at_ms: int) -> str:
    amount, ttl_s = command["amount"], command["ttl_s"]
    if refusal := _wrong_amount(amount):
        return refusal
    if not 1 <= ttl_s <= _LONGEST_TTL_S:
        return "ttl_out_of_range"
    if not account.known:
        return "tenant_unknown"
    if command["reservation_id"] in account.holds:
        return "reservation_exists"
    if amount > account.balance - account.reserved:
        return "insufficient_funds"
    account.reserved += amount
    account.holds[command["reservation_id"]] = Hold(amount, at_ms + ttl_s * 1000)
    return "ok"


def _commit(account: Account, command: Json, place: str, _at_ms: int) -> str:
    reservation_id, amount = command["reservation_id"], command.get("amount")
    if amount is not None and (refusal := _wrong_amount(amount)):
        return refusal
    if refusal := _no_open_hold(account, reservation_id):
        return refusal
    hold = account.holds[reservation_id]
    amount = hold.left if amount is None else amount
    if amount > hold.left:
        return "exceeds_reservation"
    _spend(account, amount, place)
    account.reserved -= amount
    account.holds[reservation_id] = hold._replace(left=hold.left - amount)
    if command.get("final", True) or amount == hold.left:
        _release(account, reservation_id, "reservation_settled")
    return "ok"


def _abort(account: Account, command: Json, _place: str, _at_ms: int) -> str:
    if refusal := _no_open_hold(account, command["reservation_id"]):
        return refusal
    _release(account, command["reservation_id"], "reservation_settled")
    return "ok"


def _refund(account: Account, command: Json, _place: str, _at_ms: int) -> str:
    amount = command.get("amount")
    if amount is not None and (refusal := _wrong_amount(amount)):
        return refusal
    if not account.known:
        return "tenant_unknown"
    left = account.refundable.get(command["transaction_id"])
    if left is None:
        return "transaction_unknown"
    amount = left if amount is None else amount
    if left == 0 or amount > left:
        return "exceeds_transaction"
    account.refundable[command["transaction_id"]] = left - amount
    account.balance += amount
    account.spent -= amount
    return "ok"


_RULES = {
    "purchase": _purchase,
    "consume": _consume,
    "reserve": _reserve,
    "commit": _commit,
    "abort": _abort,
    "refund": _refund,
}


def _wrong_amount(amount: int) -> str | None:
    if amount <= 0:
        return "amount_not_positive"
    return "amount_too_large" if amount >= _LIMIT else None


def _no_open_hold(account: Account, reservation_id: str) -> str | None:
    if not account.known:
        return "tenant_unknown"
    hold = account.holds.get(reservation_id)
    return "reservation_unknown" if hold is None else hold.ended


def _spend(account: Account, amount: int, place: str) -> None:
    account.balance -= amount
    account.spent += amount
    account.refundable[place] = amount


def _release(account: Account, reservation_id: str, ended: str) -> None:
    hold = account.holds[reservation_id]
    account.reserved -= hold.left
    account.holds[reservation_id] = hold._replace(left=0, ended=ended)
