"""A report as a self-contained HTML page: no scripts, no other files, no network access."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.rule import rule_hash
from shieldx.reports.category_scale import left_out, scaled_categories
from shieldx.reports.category_table import category_table
from shieldx.reports.comparison_section import comparison_section
from shieldx.reports.confusion_table import confusion_table
from shieldx.reports.curve_section import curve_section
from shieldx.reports.elements import Element, element, html, style_element
from shieldx.reports.figure_rows import figure_rows, figures_of
from shieldx.reports.latency_table import latency_table
from shieldx.reports.provenance import provenance, rule_title
from shieldx.reports.recommendation_list import recommendation_list
from shieldx.reports.style import STYLE
from shieldx.reports.tables import table
from shieldx.reports.verdict_header import verdict_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shieldx.domains.shadow.report import Figures, Report
    from shieldx.domains.shadow.rule import RuleConfig

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(report: Report, rule: RuleConfig | None = None) -> str:
    """The page. `rule` is the content that was judged, if known. A rule with another hash is not shown."""
    figures = figures_of(report)
    sections = [verdict_header(report)]
    if figures is not None:
        sections += _findings(report, figures)
    sections.append(_section("Provenance", [_pairs(provenance(report, whole_hash=True))]))
    if rule is not None and rule_hash(rule) == report.rule_hash:
        sections.append(_section("The rule", [element("pre", {}, element("code", {}, _rule_text(rule)))], kind="long"))
    title = f"{rule_title(report)}: {report.decision or report.status}"
    heads = [
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": CONTENT_SECURITY_POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", {}, title),
        style_element(STYLE),
    ]
    return html(heads, element("body", {}, element("main", {}, *sections)))


def _findings(report: Report, figures: Figures) -> Iterator[Element]:
    rows = [(row.name, row.value, row.interval) for row in figure_rows(figures)]
    shown = table("Figures, with 95 % intervals (Wilson)", ("figure", "value", "interval"), rows)
    yield _section(
        "Correct and wrong decisions", [element("div", {"class": "columns"}, confusion_table(figures), shown)]
    )
    if report.recommendations:
        yield _section("Recommendations", [recommendation_list(report.recommendations)], kind="long")
    yield _section("Curves", curve_section(figures, report.curves, report.targets))
    if report.categories:
        tables = [category_table(scaled) for scaled in scaled_categories(report)]
        rest = [element("p", {}, left_out(report))] if report.categories_left_out else []
        yield _section("Categories", tables + rest, kind="long")
    if report.comparison is not None:
        yield _section("Compared with another version", comparison_section(figures, report.comparison))
    if report.timings.rule_latency_ns is not None:
        yield _section("Latency", [latency_table(report.timings.rule_latency_ns)])


def _pairs(pairs: Sequence[tuple[str, str]]) -> Element:
    return element(
        "dl", {}, *(part for name, value in pairs for part in (element("dt", {}, name), element("dd", {}, value)))
    )


def _rule_text(rule: RuleConfig) -> str:
    return msgspec.json.format(msgspec.json.encode(rule), indent=2).decode()


def _section(heading: str, content: Sequence[Element], kind: str = "") -> Element:
    name = heading.lower().replace(" ", "-")
    attributes = {"aria-labelledby": name} | ({"class": kind} if kind else {})
    return element("section", attributes, element("h2", {"id": name}, heading), *content)
