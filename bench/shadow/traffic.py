"""`python -m bench.shadow.traffic`: measures the quality of the Core Rule Set on real requests, through Kafka."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.arena import open_arena
from bench.page import PAGE, check_part, write_part
from bench.shadow import data, traffic_report
from bench.shadow.client import Client
from bench.shadow.workers import evaluators, planner
from bench.verdict import WrongResults
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.domains.shadow.draw import draw
from shieldx.domains.shadow.matching.matcher import compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.messages import MAX_SAMPLES, Evaluate
from shieldx.domains.shadow.sample_set import strata_of
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.report import Report
    from shieldx.importers.crs_rules import ImportedRule
    from shieldx.settings import Settings

SUMMARY_PART, RULES_PART = "crs-summary", "crs-rules"
RULES_PAGE = "crs-rules.md"
"""A separate page, since one row per rule is too long for the page of benchmarks."""
PARTITIONS = 4
PROCESSES = 2
TENANT, SAMPLE_SET = "crs", "crs-and-gotestwaf"
QUICK_EVERY = 20
"""With --quick, only every twentieth rule is judged."""
console = Console()


def check_pages(page: Path) -> None:
    """Check before a long run that its parts can be written.

    Raises:
        RestoreTheMarkers: A part cannot be written.
        OSError: A page does not exist.
    """
    check_part(page, SUMMARY_PART)
    check_part(page.with_name(RULES_PAGE), RULES_PART)


async def run(settings: Settings, real: data.RealData, page: Path | None, *, quick: bool) -> None:
    """Judge, print, and write both pages."""
    rules = real.rules[:: QUICK_EVERY if quick else 1]
    reports = await judged(settings, real, rules)
    _check(real, rules, reports)
    summary = traffic_report.summary(real, reports)
    console.print("\n".join(summary), highlight=False, markup=False)
    if page is None:
        return
    write_part(page, SUMMARY_PART, summary)
    rules_page = page.with_name(RULES_PAGE)
    write_part(rules_page, RULES_PART, traffic_report.whole(real, reports))
    console.print(f"written into {page} and {rules_page}")


async def judged(settings: Settings, real: data.RealData, rules: Sequence[ImportedRule]) -> list[Report]:
    """A report for each rule, in order. The truth is what the samples expect of the rule."""
    async with (
        open_arena(settings, PARTITIONS, console.print) as arena,
        evaluators(arena, PROCESSES) as judging,
        planner(arena) as planning,
        Client(arena, [planning, judging]) as client,
    ):
        await client.import_samples(TENANT, real.samples, SAMPLE_SET)
        answers = await asyncio.gather(*(client.ask(_evaluate(rule)) for rule in rules))
    return [answered.report for answered in answers]


def _evaluate(rule: ImportedRule) -> Evaluate:
    return Evaluate(
        tenant_id=TENANT,
        rule_id=rule.rule_id,
        rule_name=rule.name,
        rule_config=rule.config,
        sample_size=MAX_SAMPLES,
        sample_set=SAMPLE_SET,
        ground_truth=rule.rule_id,
    )


def _check(real: data.RealData, rules: Sequence[ImportedRule], reports: Sequence[Report]) -> None:
    """Raise WrongResults unless each report has the counts that the matcher finds in this process."""
    strata = strata_of(real.samples)
    for rule, report in zip(rules, reports, strict=True):
        compiled = compile_rule(rule.config)
        drawn = draw(strata, MAX_SAMPLES, 0, rule.rule_id)
        fired = [compiled.judge(ParsedRequest(real.samples[index].request)).fired for index in drawn.indices]
        counted = [fired[place] for place, positive in enumerate(drawn.positive) if positive].count(True)
        false = fired.count(True) - counted
        if (counted, false) != (report.true_positives, report.false_positives):
            raise WrongResults(
                f"rule {rule.rule_id}: {counted} and {false} in this process, but the report is {report}"
            )


async def main(given: argparse.Namespace) -> None:
    """Run the measurement."""
    if not data.is_there():
        console.print(f"nothing to judge: {data.ABSENT}")
        return
    silence_aiokafka()
    page = given.page or (None if given.quick else PAGE)
    if page is not None:
        check_pages(page)
    await run(load_settings(os.environ), data.read(), page, quick=given.quick)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="bench.shadow.traffic", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rules; does not write the pages")
    parser.add_argument("--page", type=Path, help=f"the page of the summary; {RULES_PAGE} is next to it; see docs/")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
