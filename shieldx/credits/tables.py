"""The ledger's tables as topics: names, keys, and rows that a sink or a person can read."""

from __future__ import annotations

import msgspec

from shieldx.credits.reservations import State

COMMANDS = "credits.commands"
RESULTS = "credits.results"
ACCOUNTS = "credits.accounts"
RESERVATIONS = "credits.reservations"
OUTCOMES = "credits.outcomes"
TRANSACTIONS = "credits.transactions"
AUDIT = "audit.appends"


class AccountRow(msgspec.Struct, frozen=True):
    """A tenant's account."""

    tenant_id: str
    balance: int
    reserved_funds: int
    total_spent: int
    total_purchased: int


class ReservationRow(msgspec.Struct, frozen=True):
    """A hold, open or remembered."""

    tenant_id: str
    reservation_id: str
    transaction_id: str
    remaining: int
    expires_at_ms: int
    state: State
    closed_at_ms: int


class TransactionRow(msgspec.Struct, frozen=True):
    """A command that moved credits; `refunds` names the transaction that a refund gives back."""

    tenant_id: str
    transaction_id: str
    type: str
    amount: int
    balance: int
    at_ms: int
    idempotency_key: str
    description: str
    refunds: str | msgspec.UnsetType = msgspec.UNSET


def row_key(tenant_id: str, row_id: str) -> bytes:
    """`tenant/id`, with the tenant's own slashes escaped: `a/b` + `c` must not overwrite `a` + `b/c`."""
    if "/" in tenant_id or "%" in tenant_id:
        tenant_id = tenant_id.replace("%", "%25").replace("/", "%2F")
    return f"{tenant_id}/{row_id}".encode()


def parse_row_key(key: bytes) -> tuple[str, str]:
    """Tenant and id of a row's key."""
    tenant_id, _, row_id = key.decode().partition("/")
    return tenant_id.replace("%2F", "/").replace("%25", "%"), row_id
