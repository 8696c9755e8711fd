"""Compares the ledger's results and its accounts table with the recount and describes every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.demo.plain_ledger import Account
    from shieldx.demo.recount import DeadLetterSeen, Recount
    from shieldx.demo.results import ResultTally


Each = TypeVar("Each", bound=Hashable)


class Balances(NamedTuple):
    """A tenant's figures, from any source."""

    balance: int
    reserved: int
    spent: int
    purchased: int


class Observed(NamedTuple):
    """The output of the ledger."""

    answers: ResultTally
    table: Mapping[str, Balances]
    """The last row of each tenant in `credits.accounts`."""
    dead_letters: Counter[DeadLetterSeen]


class Comparison(NamedTuple):
    """The result of comparing ledger and recount."""

    tenants: dict[str, tuple[Balances | None, Balances]]
    """By tenant: the figures of the last result, and those of the recount."""
    agreeing: int
    """Tenants whose last result and row both agree with the recount."""
    differences: list[str]


def compare(recount: Recount, observed: Observed) -> Comparison:
    """Compare balances, each record's answer, expiries and dead letters."""
    tenants: dict[str, tuple[Balances | None, Balances]] = {}
    differences = list(recount.faults)
    agreeing = 0
    for tenant_id, account in sorted(recount.accounts.items()):
        counted, told = _counted(account), _told(tenant_id, observed.answers)
        tenants[tenant_id] = told, counted
        wrong = [
            f"{tenant_id}: {where} {_named(figures)}, but the recount has {_named(counted)}"
            for where, figures in (("its last result has", told), ("the table has", observed.table.get(tenant_id)))
            if figures != counted
        ]
        agreeing += not wrong
        differences += wrong
    differences += [
        f"{tenant_id} is in the table but never made a purchase"
        for tenant_id in observed.table.keys() - recount.accounts
    ]
    differences += [f"impossible figures: {text}" for text in observed.answers.impossible]
    differences += _answers(recount, observed.answers)
    differences += _counts("expiry", recount.expiries, observed.answers.expiries)
    differences += _counts("dead letter", Counter(recount.dead_letters), observed.dead_letters)
    return Comparison(tenants, agreeing, differences)


def _counted(account: Account) -> Balances:
    return Balances(account.balance, account.reserved, account.spent, account.purchased)


def _told(tenant_id: str, answers: ResultTally) -> Balances | None:
    last = answers.last_figures.get(tenant_id)
    return None if last is None else Balances(last.balance, last.reserved_funds, last.total_spent, last.total_purchased)


def _named(figures: Balances | None) -> str:
    return "nothing" if figures is None else ", ".join(f"{name} {n:,}" for name, n in figures._asdict().items())


def _answers(recount: Recount, answers: ResultTally) -> Iterable[str]:
    """Check for exactly one answer per record, with the code that the recount expects."""
    for sequence in answers.answered_again:
        yield f"record {sequence} was answered more than once"
    for sequence in recount.answers.keys() | answers.by_sequence.keys():
        expected, given = recount.answers.get(sequence), answers.by_sequence.get(sequence)
        if expected != given:
            yield f"record {sequence} was answered with {_answer(given)}, but the recount expects {_answer(expected)}"


def _answer(answer: tuple[str, bool] | None) -> str:
    if answer is None:
        return "nothing"
    code, replayed = answer
    return f"{code} (replayed)" if replayed else code


def _counts(what: str, expected: Counter[Each], given: Counter[Each]) -> Iterable[str]:
    for each in expected.keys() | given.keys():
        if expected[each] != given[each]:
            yield f"{what} {each}: {given[each]} times, but the recount expects {expected[each]}"
