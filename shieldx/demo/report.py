"""The tables that the demo prints at the end."""

from __future__ import annotations

import os
import platform
from collections import Counter
from importlib.metadata import version
from math import ceil
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from shieldx.demo.story import SHORT_OF_CREDITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from shieldx.demo.audit_log import AuditLog
    from shieldx.demo.comparison import Comparison
    from shieldx.demo.results import ResultTally
    from shieldx.demo.run import Measured, Outcome, Plan
    from shieldx.demo.steps import Step

MOST_DIFFERENCES = 20
PERCENTILES = (50, 95, 99)


def print_report(console: Console, plan: Plan, outcome: Outcome) -> None:
    """Print all results."""
    _print_heading(console, plan, outcome)
    console.print(_commands(outcome.sent))
    console.print(_results(outcome.answers))
    console.print(_speed(outcome.measured, plan))
    console.print(_balances(outcome.comparison))
    _print_verdict(console, outcome)
    _print_audit_log(console, outcome.audit_log)


def percentile_ms(sorted_s: Sequence[float], percent: int) -> float:
    """The smallest measured latency that at least `percent` percent of the measurements do not exceed."""
    return sorted_s[max(0, ceil(len(sorted_s) * percent / 100) - 1)] * 1000


def _print_heading(console: Console, plan: Plan, outcome: Outcome) -> None:
    trace = plan.trace
    console.print()
    console.print(
        f"[bold]Trace[/]    {trace.source}: {len(trace.rows):,} rows over {str(trace.span).partition('.')[0]}, "
        f"played {outcome.measured.rounds:.2f} times in {outcome.measured.seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"[bold]Machine[/]  {os.cpu_count()} cores for the broker, one credits agent and this client, "
        f"load average {outcome.load_before:.1f} before; "
        f"{platform.system()}, Python {platform.python_version()}, ShieldX {version('shieldx')}, "
        f"aiokafka {version('aiokafka')}",
        highlight=False,
        soft_wrap=True,
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table


def _commands(sent: Sequence[Step]) -> Table:
    table = _table("Commands by type", "type", "sent")
    for kind, count in Counter(step.kind for step in sent).most_common():
        table.add_row(kind, f"{count:,}")
    table.add_section()
    table.add_row("all", f"{len(sent):,}")
    return table


def _results(answers: ResultTally) -> Table:
    table = _table("Results by code", "code", "results", "of which replayed")
    codes, replayed = Counter[str](), Counter[str]()
    for answer in answers.by_sequence.values():
        codes[answer.code] += 1
        replayed[answer.code] += answer.replayed
    for code, count in codes.most_common():
        table.add_row(code, f"{count:,}", f"{replayed[code]:,}" if replayed[code] else "")
    table.add_row("ok, expiry of a hold", f"{answers.expiries.total():,}", "")
    table.add_section()
    table.add_row("all", f"{codes.total() + answers.expiries.total():,}", f"{replayed.total():,}")
    return table


def _speed(measured: Measured, plan: Plan) -> Table:
    table = _table("Speed, from send to committed result", "measured", "value", "over")
    throughput = measured.throughput
    table.add_row(
        "throughput, unthrottled",
        f"{throughput.per_second:,.0f}/s",
        f"{throughput.results:,} results in {throughput.seconds:.1f} s",
    )
    for percent in PERCENTILES:
        latency_ms = percentile_ms(measured.latencies_s, percent)
        over = f"{len(measured.latencies_s):,} commands at {plan.per_second:,}/s"
        table.add_row(f"latency, p{percent}", f"{latency_ms:,.1f} ms", over)
    return table


def _balances(comparison: Comparison) -> Table:
    """Compares the ledger's figures with the recount. A row says "no" if any figure differs, not only the balance."""
    table = _table(
        "Balances by the ledger and by an independent recount",
        *("tenant", "balance", "recount", "spent", "purchased", "held", "agrees"),
    )
    for tenant_id, (told, counted) in comparison.tenants.items():
        if told is None:
            balance, *others = ["-"] * 4
        else:
            figures = (told.balance, told.spent, told.purchased, told.reserved)
            balance, *others = (f"{figure:,}" for figure in figures)
        name = f"{tenant_id} *" if tenant_id in SHORT_OF_CREDITS else tenant_id
        table.add_row(name, balance, f"{counted.balance:,}", *others, "yes" if told == counted else "[bold red]NO[/]")
    table.caption = "* buys fewer credits than it tries to spend"
    table.caption_justify = "left"
    return table


def _print_verdict(console: Console, outcome: Outcome) -> None:
    comparison = outcome.comparison
    tenants = len(comparison.tenants)
    answered = len(outcome.answers.by_sequence)
    console.print(f"recount: {comparison.agreeing} of {tenants} tenants agree", style="bold", highlight=False)
    if not comparison.differences:
        console.print(
            f"Each of {answered:,} commands has exactly one result, with the code that the recount expects; "
            f"{outcome.answers.expiries.total():,} holds expired once each; no figure is negative.",
            highlight=False,
            soft_wrap=True,
        )
        return
    console.print(f"Differences ({len(comparison.differences):,}):", style="bold red", highlight=False)
    for difference in comparison.differences[:MOST_DIFFERENCES]:
        console.print(f"  {difference}", highlight=False, markup=False, soft_wrap=True)
    if len(comparison.differences) > MOST_DIFFERENCES:
        console.print("  …", highlight=False)


def _print_audit_log(console: Console, log: AuditLog) -> None:
    verdict = log.verdict
    whole = "intact" if verdict.is_whole else "BROKEN"
    console.print(
        f"audit log: {verdict.entries:,} entries in {len(verdict.shards)} shards, {whole}",
        style="bold" if verdict.is_whole else "bold red",
        highlight=False,
    )
    console.print(
        f"Chained in {log.chained_s:.1f} s; every hash, signature and link verified in {log.verified_s:.1f} s.",
        highlight=False,
        soft_wrap=True,
    )
    for each in verdict.breaks[:MOST_DIFFERENCES]:
        text = f"  {each.kind} in shard {each.shard}, entries {each.first} to {each.last}: {each.detail}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
