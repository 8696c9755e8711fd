"""Prints a report on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

from shieldx.cli.shadow.text_bar import text_bar
from shieldx.cli.stdout import counted, fits, print_table, print_whole, printable
from shieldx.domains.shadow.report import Decision
from shieldx.reports.category_scale import left_out, scaled_categories
from shieldx.reports.figure_rows import duration, figure_rows, figures_of, interval, p_value, percent, round_percent
from shieldx.reports.provenance import provenance
from shieldx.reports.reason import reason, risk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.report import Category, Comparison, Figures, LatencyNs, Recommendation, Report
    from shieldx.reports.category_scale import Scaled

COLOURS = {Decision.APPROVE_FULL_DEPLOYMENT: "green", Decision.APPROVE_CANARY: "yellow", Decision.REJECT: "red"}
NAME_WIDTH = 15
WIDTH_WITH_BARS = 100
"""Minimum number of columns of the terminal for bars; on a narrower one they would wrap."""
CATEGORIES_SHOWN = 10
"""The categories with the most wrong decisions. In a real set, all of them would scroll the verdict off the screen."""


def print_report(report: Report) -> None:
    """Print everything except the curves."""
    _print_headline(report)
    latency = report.timings.rule_latency_ns
    for name, value in [*provenance(report, whole_hash=False), *([] if latency is None else [_latency(latency)])]:
        click.echo(f"{name:<{NAME_WIDTH}}{printable(value)}")
    figures = figures_of(report)
    if figures is not None:
        _print_figures(figures)
    for scaled in scaled_categories(report):
        _print_categories(scaled)
    if report.categories_left_out:
        click.echo(left_out(report))
    if figures is not None and report.comparison is not None:
        _print_comparison(figures, report.comparison)
    _print_recommendations(report.recommendations)


def _print_headline(report: Report) -> None:
    if report.decision is None or report.confidence is None:
        print_whole(Text(f"{report.status}: {report.code.value}", style="bold red"))
        if report.detail is not None:
            click.echo(printable(report.detail))
    else:
        level = "" if report.risk_level is None else f", risk {report.risk_level.value}"
        decision = report.decision.value, f"bold {COLOURS[report.decision]}"
        print_whole(Text.assemble(decision, f", confidence {percent(report.confidence)}{level}"))
        click.echo(f"{reason(report)} Risk: {risk(report)}.")
    click.echo()


def _latency(latency: LatencyNs) -> tuple[str, str]:
    figures = {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}
    return "rule latency", ", ".join(f"{name} {duration(figure)}" for name, figure in figures.items())


def _print_figures(figures: Figures) -> None:
    click.echo()
    matrix = [
        ("should fire", figures.true_positives, figures.false_negatives),
        ("should not fire", figures.false_positives, figures.true_negatives),
    ]
    print_table(("samples that", "fired", "did not"), matrix)
    click.echo()
    print_table(("figure", "value", "95 % interval"), figure_rows(figures))


def _print_categories(scaled: Scaled) -> None:
    click.echo()
    kind = f"{'should' if scaled.positive else 'should not'} fire"
    shown = sorted(scaled.categories, key=_wrong, reverse=True)[:CATEGORIES_SHOWN]
    rate = "recall" if scaled.positive else "FPR"
    headings = [kind, "samples", "fired", rate, "95 % interval"]
    rows = [[it.category, it.samples, it.fired, percent(it.rate), interval(it.interval)] for it in shown]
    if fits(WIDTH_WITH_BARS):
        headings.append(f"0 to {round_percent(scaled.top)}")
        for row, it in zip(rows, shown, strict=True):
            row.append(text_bar(it.rate, it.interval, top=scaled.top))
    print_table(headings, rows, whole=(kind, "95 % interval"))
    more = len(scaled.categories) - len(shown)
    if more:
        click.echo(f"{counted(more, 'more category', 'more categories')}: use --html or --json to see them")


def _wrong(category: Category) -> int:
    return category.samples - category.fired if category.positive else category.fired


def _print_comparison(figures: Figures, comparison: Comparison) -> None:
    click.echo()
    pairs = zip(figure_rows(figures), figure_rows(comparison.figures), strict=True)
    rows = [(this.name, this.value, other.value) for this, other in pairs]
    print_table(("figure", "this rule", f"version {comparison.rule_version}"), rows)
    click.echo(
        f"{comparison.only_this_right:,} judged correctly only by this rule, {comparison.only_other_right:,} only by "
        f"version {comparison.rule_version}; McNemar's p {p_value(comparison.p_value)}"
    )


def _print_recommendations(recommendations: Sequence[Recommendation]) -> None:
    for number, each in enumerate(recommendations, start=1):
        click.echo(f"\n{number}. {printable(each.advice)}")
        more = each.samples_total - len(each.samples)
        click.echo("   " + ", ".join(map(printable, each.samples)) + (f", and {more:,} more" if more else ""))
