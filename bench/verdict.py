"""Checks the results of a contestant: one per command, and balances that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Iterable


class WrongResults(ShieldXError):
    """The measured program did not do the job, so its rate is meaningless."""


class Expected(msgspec.Struct, frozen=True):
    """The expected outcome of the commands."""

    results: int
    balances: int
    """The sum over all tenants."""


class _Balance(msgspec.Struct, frozen=True, gc=False):
    available: int


class _Result(msgspec.Struct, frozen=True, gc=False):
    idempotency_key: str
    tenant_id: str
    code: str
    balance: _Balance


_decode = msgspec.json.Decoder(_Result).decode


def check_results(values: Iterable[bytes], expected: Expected) -> None:
    """Check all results, each tenant's in order.

    Raises:
        WrongResults: The message says what differs.
    """
    count, keys, balances = 0, set(), {}
    for value in values:
        result = _decode(value)
        if result.code != "ok" or result.balance.available < 0:
            raise WrongResults(f"{result.tenant_id} {result.idempotency_key}: {result.code}, {result.balance}")
        count += 1
        keys.add((result.tenant_id, result.idempotency_key))
        balances[result.tenant_id] = result.balance.available
    check_figures(count, len(keys), sum(balances.values()), expected)


def check_figures(results: int, keys: int, balances: int, expected: Expected) -> None:
    """Compare counts with their expected values.

    Raises:
        WrongResults: The message says what differs.
    """
    found = {"results": results, "different keys": keys, "sum of balances": balances}
    wanted = {"results": expected.results, "different keys": expected.results, "sum of balances": expected.balances}
    wrong = [f"{name} {found[name]:,} instead of {wanted[name]:,}" for name in found if found[name] != wanted[name]]
    if wrong:
        raise WrongResults("; ".join(wrong))
