"""Checks that Postgres has stored the rows that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.sinks.postgres_faults import SuppressedRows

if TYPE_CHECKING:
    from collections.abc import Sized


def check_stored(table: str, done: str, rows: Sized) -> None:
    """Compare rows with Postgres's answer, such as `COPY 3`.

    Raises:
        SuppressedRows: a trigger, a rule or a policy has left some out.
    """
    stored = number_in(done)
    if stored != len(rows):
        raise SuppressedRows(f"{table} stored {stored} of {len(rows)} rows")


def number_in(done: str) -> int:
    """The number of rows in Postgres's answer."""
    return int(done.rpartition(" ")[2])
