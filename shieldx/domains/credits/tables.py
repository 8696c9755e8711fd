"""The ledger's tables as topics: names, keys, and rows that a sink or a person can read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from shieldx.classification import FREE_TEXT, NEITHER
from shieldx.domains.credits.messages import Credits, Payment
from shieldx.messages import AnyId, Sealed, TimeMs, Word

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

    tenant_id: AnyId
    balance: Credits
    reserved_funds: Credits
    total_spent: Credits
    total_purchased: Credits


class ReservationRow(msgspec.Struct, frozen=True):
    """A hold, open or remembered."""

    tenant_id: AnyId
    reservation_id: AnyId
    transaction_id: AnyId
    remaining: Credits
    expires_at_ms: TimeMs
    state: Annotated[State, NEITHER]
    closed_at_ms: TimeMs


class TransactionRow(msgspec.Struct, frozen=True):
    """A command that moved credits. `refunds` names the transaction that it refunds; `description` is masked."""

    tenant_id: AnyId
    transaction_id: AnyId
    type: Word
    amount: Credits
    balance: Credits
    at_ms: TimeMs
    idempotency_key: AnyId
    description: Annotated[str, FREE_TEXT]
    refunds: AnyId | msgspec.UnsetType = msgspec.UNSET
    payment: Payment | msgspec.UnsetType = msgspec.UNSET
    personal: Sealed | msgspec.UnsetType = msgspec.UNSET
