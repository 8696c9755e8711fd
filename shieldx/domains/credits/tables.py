"""The ledger's tables as topics: names, keys, and rows that a sink or a person can read."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from shieldx.domains.credits.messages import Payment
from shieldx.messages import Sealed

COMMANDS = "credits.commands"
RESULTS = "credits.results"
ACCOUNTS = "credits.accounts"
RESERVATIONS = "credits.reservations"
OUTCOMES = "credits.outcomes"
TRANSACTIONS = "credits.transactions"
AUDIT = "audit.decisions"


class State(StrEnum):
    """The state of a hold."""

    OPEN = "open"
    SETTLED = "settled"
    EXPIRED = "expired"


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
    """A command that moved credits. `refunds` names the transaction that it refunds."""

    tenant_id: str
    transaction_id: str
    type: str
    amount: int
    balance: int
    at_ms: int
    idempotency_key: str
    description: str
    refunds: str | msgspec.UnsetType = msgspec.UNSET
    payment: Payment | msgspec.UnsetType = msgspec.UNSET
    personal: Sealed | msgspec.UnsetType = msgspec.UNSET
