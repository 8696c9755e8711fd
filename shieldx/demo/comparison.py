"""The ledger's results and table beside the recount: every difference, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.demo.plain_ledger import Account
    from shieldx.demo.recount import DeadLetterSeen, Recount
    from shieldx.demo.results import Answers


Each = TypeVar("Each", bound=Hashable)


class Balances(NamedTuple):
    """A tenant's figures, wherever they were taken from."""

    balance: int
    reserved: int
    spent: int
    purchased: int


class Observed(NamedTuple):
    """What the ledger has said."""

    answers: Answers
    table: Mapping[str, Balances]
    """The last row of each tenant in `credits.accounts`."""
    dead_letters: Counter[DeadLetterSeen]


class Comparison(NamedTuple):
    """How far ledger and recount agree."""

    tenants: dict[str, tuple[Balances | None, Balances]]
    """By tenant: what the last result says, and the recount."""
    agreeing: int
    """Tenants whose last result and row both say what the recount does."""
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
            f"{tenant_id}: {where} {_named(figures)}, the recount {_named(counted)}"
            for where, figures in (("its last result says", told), ("the table says", observed.table.get(tenant_id)))
            if figures != counted
        ]
        agreeing += not wrong
        differences += wrong
    differences += [
        f"{tenant_id} is in the table, but never purchased" for tenant_id in observed.table.keys() - recount.accounts
    ]
    differences += [f"figures that cannot be: {text}" for text in observed.answers.impossible]
    differences += _answers(recount, observed.answers)
    differences += _counts("expiry", recount.expiries, observed.answers.expiries)
    differences += _counts("dead letter", Counter(recount.dead_letters), observed.dead_letters)
    return Comparison(tenants, agreeing, differences)


def _counted(account: Account) -> Balances:
    return Balances(account.balance, account.reserved, account.spent, account.purchased)


def _told(tenant_id: str, answers: Answers) -> Balances | None:
    last = answers.last_figures.get(tenant_id)
    return None if last is None else Balances(last.balance, last.reserved_funds, last.total_spent, last.total_purchased)


def _named(figures: Balances | None) -> str:
    return "nothing" if figures is None else ", ".join(f"{name} {n:,}" for name, n in figures._asdict().items())


def _answers(recount: Recount, answers: Answers) -> Iterable[str]:
    """Exactly one answer to each record, with the code that the recount gives."""
    for sequence in answers.answered_again:
        yield f"record {sequence} was answered more than once"
    for sequence in recount.answers.keys() | answers.by_sequence.keys():
        expected, given = recount.answers.get(sequence), answers.by_sequence.get(sequence)
        if expected != given:
            yield f"record {sequence} was answered {_answer(given)}, the recount says {_answer(expected)}"


def _answer(answer: tuple[str, bool] | None) -> str:
    if answer is None:
        return "not at all"
    code, replayed = answer
    return f"{code} (replayed)" if replayed else code


def _counts(what: str, expected: Counter[Each], given: Counter[Each]) -> Iterable[str]:
    for each in expected.keys() | given.keys():
        if expected[each] != given[each]:
            yield f"{what} {each}: {given[each]} times, by the recount {expected[each]}"
