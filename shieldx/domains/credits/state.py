"""The declarations of the ledger's tables."""

from __future__ import annotations

from shieldx.domains.credits import outcomes, tables
from shieldx.domains.credits.accounts import Accounts
from shieldx.domains.credits.reservations import Reservations
from shieldx.domains.credits.transactions import Transactions
from shieldx.state.deduplication import deduplication_window
from shieldx.state.table import TableSpec

ACCOUNTS = TableSpec(tables.ACCOUNTS, Accounts, tenant_of=bytes.decode)
RESERVATIONS = TableSpec(tables.RESERVATIONS, Reservations)
TRANSACTIONS = TableSpec(tables.TRANSACTIONS, Transactions)
OUTCOMES = deduplication_window(
    tables.OUTCOMES,
    form=outcomes.FORM,
    versions=(outcomes.VERSION,),
    at_ms_of=outcomes.at_ms_of,
    moved=outcomes.moved,
)
STATE = (ACCOUNTS, RESERVATIONS, TRANSACTIONS, OUTCOMES)
