"""The ledger's tables as rows of SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shieldx.domains.credits import projections
from shieldx.domains.credits.tables import ACCOUNTS, TRANSACTIONS, AccountRow, TransactionRow
from shieldx.messages import Sealed

AT_MS = 1_767_268_800_123


def rows(topic: str, key: bytes | None, value: Any) -> list[projections.Row]:
    encoded = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
    return list(projections.rows(topic, 3, 17, key, encoded))


def transaction(kind: str, amount: int, transaction_id: str, refunds: Any = msgspec.UNSET) -> TransactionRow:
    return TransactionRow("a", transaction_id, kind, amount, 90, AT_MS, "k", "why", refunds)


def test_an_account_is_its_figures_and_where_they_stand() -> None:
    assert rows(ACCOUNTS, b"a", AccountRow("a", 9, 2, 1, 10)) == [("credits.accounts", ("a",), (9, 2, 1, 10, 3, 17))]


def test_an_account_without_a_value_is_deleted() -> None:
    assert rows(ACCOUNTS, "ä".encode(), None) == [("credits.accounts", ("ä",), None)]


@pytest.mark.parametrize(
    ("kind", "amount", "signed"), [("purchase", 7, 7), ("refund", 7, 7), ("consume", 7, -7), ("commit", 7, -7)]
)
def test_an_amount_has_the_sign_of_what_it_did_to_the_balance(kind: str, amount: int, signed: int) -> None:
    ((table, key, columns),) = rows(TRANSACTIONS, b"a/3-5", transaction(kind, amount, "3-5"))
    assert (table, key) == ("credits.transactions", ("3-5",))
    assert columns is not None
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=AT_MS)
    assert columns == ("a", 3, 5, None, kind, signed, 90, at, "k", "why", None)


def test_a_command_of_a_batch_has_its_index_and_a_refund_what_it_gives_back() -> None:
    ((_, _, columns),) = rows(TRANSACTIONS, b"a/3-5-2", transaction("refund", 7, "3-5-2", "3-4"))
    assert columns is not None
    assert (columns[1:4], columns[-1]) == ((3, 5, 2), "3-4")


def with_personal() -> TransactionRow:
    sealed = Sealed(sealed="A256GCM/1", key_id="person/7", nonce=b"n" * 12, ciphertext=b"c" * 32)
    return msgspec.structs.replace(transaction("consume", 7, "3-5"), personal=sealed)


def test_personal_data_has_a_row_of_its_own_with_the_key_that_sealed_it() -> None:
    movement, (table, key, columns) = rows(TRANSACTIONS, b"a/3-5", with_personal())
    assert movement[0] == "credits.transactions"
    assert (table, key, (columns or ())[:3]) == ("credits.personal_data", ("3-5",), ("a", "person/7", None))


def test_columns_are_as_many_as_the_tables_have() -> None:
    ((_, key, columns),) = rows(TRANSACTIONS, b"a/3-5", transaction("consume", 7, "3-5"))
    assert (len(key), len(columns or ())) == (len(projections.TRANSACTIONS_KEY), len(projections.TRANSACTIONS_COLUMNS))
    _, (_, key, columns) = rows(TRANSACTIONS, b"a/3-5", with_personal())
    assert (len(key), len(columns or ())) == (len(projections.PERSONAL_KEY), len(projections.PERSONAL_COLUMNS))
    ((_, key, columns),) = rows(ACCOUNTS, b"a", AccountRow("a", 9, 2, 1, 10))
    assert (len(key), len(columns or ())) == (len(projections.ACCOUNTS_KEY), len(projections.ACCOUNTS_COLUMNS))


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        (ACCOUNTS, None, AccountRow("a", 9, 2, 1, 10)),
        (ACCOUNTS, b"b", AccountRow("a", 9, 2, 1, 10)),
        (ACCOUNTS, b"\xff", None),
        (ACCOUNTS, b"a", b"{"),
        (TRANSACTIONS, b"a/3-5", None),
        (TRANSACTIONS, b"a/3-5", transaction("consume", 7, "three")),
        (TRANSACTIONS, b"a/3-5", transaction("expire", 7, "3-5")),
        (TRANSACTIONS, b"a/3-5", b'{"tenant_id": "a"}'),
    ],
)
def test_what_is_no_such_record_is_refused(topic: str, key: bytes | None, value: Any) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        rows(topic, key, value)
