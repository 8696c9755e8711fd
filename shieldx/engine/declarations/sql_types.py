"""The types that columns of a sink's tables may have, and the values that each of them holds."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def misfit(kind: str, value: Any) -> str | None:
    """Why a column of the type cannot hold a value, without the value; None if it can."""
    return None if value is None else _MISFITS[kind](value)


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "is not a text"
    if "\0" in value:
        return "contains U+0000, which Postgres cannot store in a text"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "contains half of a surrogate pair, which UTF-8 cannot encode"
    return None


def _integer(bits: int) -> Callable[[Any], str | None]:
    bound = 1 << (bits - 1)

    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return "is not an integer"
        return None if -bound <= value < bound else f"does not fit into {bits} bits"

    return check


def _instance(of: type[Any], name: str) -> Callable[[Any], str | None]:
    return lambda value: None if isinstance(value, of) else f"is not {name}"


_MISFITS: dict[str, Callable[[Any], str | None]] = {
    "text": _text,
    "smallint": _integer(16),
    "integer": _integer(32),
    "bigint": _integer(64),
    "boolean": _instance(bool, "true or false"),
    "double precision": _instance(float, "a float"),
    "date": _instance(date, "a date"),
    "timestamptz": _instance(datetime, "a time"),
    "bytea": _instance(bytes, "bytes"),
}
SQL_TYPES = tuple(_MISFITS)
"""The names of the types."""
