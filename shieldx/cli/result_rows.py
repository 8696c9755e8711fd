"""Results as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """A result under the headings."""
    return (
        result.at,
        result.tenant_id,
        result.type,
        f"{result.code.value} (replayed)" if result.replayed else result.code.value,
        result.balance.available,
        result.balance.reserved_funds,
        result.transaction_id,
        result.idempotency_key,
    )


def summary(codes: Counter[str]) -> str:
    """`7 results: 5 ok, 2 insufficient_funds`, the most frequent first."""
    parts = ", ".join(f"{number:,} {code}" for code, number in codes.most_common())
    return f"{counted(codes.total(), 'result')}{': ' if parts else ''}{parts}"
