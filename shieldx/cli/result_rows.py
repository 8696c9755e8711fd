"""Results as table rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from shieldx.cli.stdout import counted

if TYPE_CHECKING:
    from collections import Counter

    from shieldx.domains.credits.messages import Result

HEADINGS = (
    "at",
    "tenant",
    "type",
    "code",
    "available",
    "reserved",
    "transaction",
    "key",
)


def row(result: Result) -> tuple[object, ...]:
    """The row of a result. An unreadable command's has no balance."""
    figures: tuple[object, object] = ("", "")
    if result.balance is not UNSET:
        figures = (result.balance.available, result.balance.reserved_funds)
    return (
        result.at,
        result.tenant_id,
        result.type,
        f"{result.code.value} (replayed)" if result.replayed else result.code.value,
        *figures,
        result.transaction_id,
        result.idempotency_key,
    )


def summary(codes: Counter[str]) -> str:
    """A summary such as `7 results: 5 ok, 2 insufficient_funds`, most frequent first."""
    parts = ", ".join(f"{number:,} {code}" for code, number in codes.most_common())
    return f"{counted(codes.total(), 'result')}{': ' if parts else ''}{parts}"
