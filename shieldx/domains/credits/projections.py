"""The ledger's tables as SQL tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.classification import NEITHER, PSEUDONYM
from shieldx.domains.credits.tables import ACCOUNTS, AccountRow, TransactionRow
from shieldx.messages import MAX_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.credits.messages import Payment
    from shieldx.messages import Sealed

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
ACCOUNTS_OWN = dict.fromkeys(("source_partition", "source_offset"), NEITHER)
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
TRANSACTIONS_OWN = dict.fromkeys(("partition", "input_offset", "batch_index", "at"), NEITHER)
PERSONAL_TABLE = "credits.personal_data"
PERSONAL_KEY = {"transaction_id": "text"}
PERSONAL_COLUMNS = {"tenant_id": "text", "key_id": "text", "payment": "text", "personal": "text"}
PERSONAL_OWN = {"key_id": PSEUDONYM}
_GROWS = {"purchase", "refund"}
_FALLS = {"consume", "commit"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_account = msgspec.json.Decoder(AccountRow)
_encode = msgspec.json.Encoder().encode
_transaction = msgspec.json.Decoder(TransactionRow)

Row = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]


def rows(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Iterator[Row]:
    """The rows of one record of `credits.accounts` or `credits.transactions`, with None for a row to delete.

    Raises:
        ValueError, msgspec.MsgspecError: the record is invalid.
    """
    if topic == ACCOUNTS:
        yield _account_row(partition, offset, key, value)
        return
    if value is None:
        raise ValueError("a record without a value")
    row = _transaction.decode(value)
    yield _transaction_row(row)
    if row.payment is not msgspec.UNSET:
        yield _personal_row(row, row.payment.reference.key_id, payment=row.payment)
    if row.personal is not msgspec.UNSET:
        yield _personal_row(row, row.personal.key_id, personal=row.personal)


def _account_row(partition: int, offset: int, key: bytes | None, value: bytes | None) -> Row:
    if key is None:
        raise ValueError("a record without a key")
    if value is None:
        return ACCOUNTS_TABLE, (key.decode(),), None
    row = _account.decode(value)
    if row.tenant_id.encode() != key:
        raise ValueError("the key is not the body's tenant_id")
    _check_tenant(row.tenant_id)
    figures = (row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
    return ACCOUNTS_TABLE, (row.tenant_id,), (*figures, partition, offset)


def _personal_row(
    row: TransactionRow, key_id: str, *, payment: Payment | None = None, personal: Sealed | None = None
) -> Row:
    sealed = [None if each is None else _encode(each).decode() for each in (payment, personal)]
    return PERSONAL_TABLE, (row.transaction_id,), (row.tenant_id, key_id, *sealed)


def _transaction_row(row: TransactionRow) -> Row:
    _check_tenant(row.tenant_id)
    home, input_offset, *index = map(int, row.transaction_id.split("-"))
    if row.transaction_id != "-".join(map(str, (home, input_offset, *index[:1]))):
        raise ValueError("the transaction_id is not <partition>-<offset>, or <partition>-<offset>-<index>")
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
            _time(row.at_ms),
            row.idempotency_key,
            row.description,
            None if row.refunds is msgspec.UNSET else row.refunds,
        ),
    )


def _time(at_ms: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        raise ValueError("at_ms is not within the years 1 to 9999") from None


def _check_tenant(tenant_id: str) -> None:
    """Refuse a name that no command can have: an index cannot hold a text of any length."""
    if len(tenant_id) > MAX_ID_LENGTH:
        raise ValueError(f"tenant_id is longer than {MAX_ID_LENGTH} characters")


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
