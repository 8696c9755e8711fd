"""Tables of sinks: which types a page may declare, and which values each of them holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from shieldx.engine.declarations.sink import SqlTable
from shieldx.engine.declarations.sql_types import SQL_TYPES, misfit
from shieldx.errors import FixConfiguration

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "é 𝄞 \ufffd"),
        ("text", ""),
        ("smallint", 2**15 - 1),
        ("integer", -(2**31)),
        ("bigint", 2**63 - 1),
        ("boolean", False),
        ("double precision", float("nan")),
        ("date", date(2026, 1, 1)),
        ("timestamptz", NOW),
        ("bytea", b"\0\xff"),
        *((kind, None) for kind in SQL_TYPES),
    ],
)
def test_a_column_holds(kind: str, value: Any) -> None:
    assert misfit(kind, value) is None


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("text", "a\0", "contains U+0000, which Postgres cannot store in a text"),
        ("text", "\ud800", "contains half of a surrogate pair, which UTF-8 cannot encode"),
        ("text", b"", "is not a text"),
        ("smallint", 2**15, "does not fit into 16 bits"),
        ("integer", -(2**31) - 1, "does not fit into 32 bits"),
        ("bigint", 2**63, "does not fit into 64 bits"),
        ("bigint", True, "is not an integer"),
        ("bigint", 1.0, "is not an integer"),
        ("boolean", 1, "is not true or false"),
        ("double precision", 1, "is not a float"),
        ("date", "2026-01-01", "is not a date"),
        ("timestamptz", date(2026, 1, 1), "is not a time"),
        ("bytea", "", "is not bytes"),
    ],
)
def test_a_column_does_not_hold(kind: str, value: Any, said: str) -> None:
    assert misfit(kind, value) == said


def test_a_row_names_the_column_that_cannot_hold_its_value() -> None:
    table = SqlTable(name="a.b", key={"id": "text"}, columns={"total": "bigint"})
    table.check(("x",), (7,))
    table.check(("x",), None)
    with pytest.raises(ValueError, match="total does not fit into 64 bits"):
        table.check(("x",), (2**63,))
    with pytest.raises(ValueError, match=r"id contains U\+0000"):
        table.check(("\0",), None)
    with pytest.raises(TypeError, match=r"a\.b has 2 columns, and the row 3"):
        table.check(("x",), (7, 8))


def test_a_type_whose_limits_are_unknown_is_refused() -> None:
    with pytest.raises(FixConfiguration, match=r"column body of a\.b has the type 'jsonb'; sinks know text, smallint"):
        SqlTable(name="a.b", key={"id": "text"}, columns={"body": "jsonb"})
