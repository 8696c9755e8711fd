"""The ledger's tables as SQL tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.credits.tables import ACCOUNTS, AccountRow, TransactionRow

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNTS_TABLE = "credits.accounts"
ACCOUNTS_KEY = {"tenant_id": "text"}
ACCOUNTS_COLUMNS = {
    "balance": "bigint",
    "reserved_funds": "bigint",
    "total_spent": "bigint",
    "total_purchased": "bigint",
    "source_partition": "integer",
    "source_offset": "bigint",
}
TRANSACTIONS_TABLE = "credits.transactions"
TRANSACTIONS_KEY = {"transaction_id": "text"}
TRANSACTIONS_COLUMNS = {
    "tenant_id": "text",
    "partition": "integer",
    "input_offset": "bigint",
    "batch_index": "smallint",
    "type": "text",
    "amount": "bigint",
    "balance": "bigint",
    "at": "timestamptz",
    "idempotency_key": "text",
    "description": "text",
    "refunds": "text",
}
_GROWS = {"purchase", "refund"}
_FALLS = {"consume", "commit"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_account = msgspec.json.Decoder(AccountRow)
_transaction = msgspec.json.Decoder(TransactionRow)

Row = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]


def rows(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Iterator[Row]:
    """The rows of one record of `credits.accounts` or `credits.transactions`, with None for a row to delete.

    Raises:
        ValueError, msgspec.MsgspecError: the record is invalid.
    """
    if topic == ACCOUNTS:
        yield _account_row(partition, offset, key, value)
    else:
        yield _transaction_row(value)


def _account_row(partition: int, offset: int, key: bytes | None, value: bytes | None) -> Row:
    if key is None:
        raise ValueError("a record without a key")
    if value is None:
        return ACCOUNTS_TABLE, (key.decode(),), None
    row = _account.decode(value)
    if row.tenant_id.encode() != key:
        raise ValueError("the key is not the body's tenant_id")
    figures = (row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
    return ACCOUNTS_TABLE, (row.tenant_id,), (*figures, partition, offset)


def _transaction_row(value: bytes | None) -> Row:
    if value is None:
        raise ValueError("a record without a value")
    row = _transaction.decode(value)
    home, input_offset, *index = map(int, row.transaction_id.split("-"))
    return (
        TRANSACTIONS_TABLE,
        (row.transaction_id,),
        (
            row.tenant_id,
            home,
            input_offset,
            index[0] if index else None,
            row.type,
            signed(row.type, row.amount),
            row.balance,
            _EPOCH + timedelta(milliseconds=row.at_ms),
            row.idempotency_key,
            row.description,
            None if row.refunds is msgspec.UNSET else row.refunds,
        ),
    )


def signed(kind: str, amount: int) -> int:
    """The signed change of the balance.

    Raises:
        ValueError: no command of that type moves credits.
    """
    if kind in _GROWS:
        return amount
    if kind in _FALLS:
        return -amount
    raise ValueError("a type that moves no credits")
