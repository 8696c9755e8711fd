"""`shieldx evaluate`: evaluates a rule before its deployment."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.rule.versions import RuleNameType, rules_of
from shieldx.cli.samples.sets import SetName
from shieldx.cli.shadow.awaiting import evaluate
from shieldx.cli.shadow.batch_progress import BatchProgress
from shieldx.cli.shadow.evaluation_request import CorrectRequest, read_request, request_of
from shieldx.cli.shadow.report_table import print_report
from shieldx.cli.stdout import printable, say
from shieldx.cli.work_progress import work_progress
from shieldx.domains.shadow.messages import MAX_DEADLINE_S, MAX_SAMPLES, Targets
from shieldx.domains.shadow.report import Decision
from shieldx.errors import FixConfiguration
from shieldx.reports.html_page import html_page
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.rule.versions import RuleName
    from shieldx.cli.shadow.awaiting import Received
    from shieldx.domains.shadow.messages import Evaluate
    from shieldx.domains.shadow.report import Report
    from shieldx.domains.shadow.rule import RuleConfig

EXIT_NO_DECISION, EXIT_REJECTED = 1, 3
LONGER_THAN_DEADLINE_S = 30.0
"""Extra waiting time: at the deadline, in the broker's time, the agent sends a report too."""
EXAMPLE = (
    '{"tenant_id":"org-1","rule_id":"sqli-1","rule_config":{"type":"signature","pattern":"(?i)union select"},'
    '"sample_size":1000,"targets":{"max_false_positive_rate":0.01,"min_recall":0.8}}'
)


@click.command(epilog=f"A request: {EXAMPLE}")
@click.argument("file", metavar="[RULE.json]", required=False)
@click.option("--tenant", "tenant_id", metavar="T", help="Tenant of the rule and samples.")
@click.option("--rule", type=RuleNameType(), metavar="ID[@N]", help="A stored rule's version, by default the last.")
@click.option(
    "--samples", "sample_size", type=click.IntRange(1, MAX_SAMPLES), metavar="N", help="Number of samples to draw."
)
@click.option("--set", "set_name", metavar="NAME[@VERSION]", help="The set to draw from, by default its last version.")
@click.option("--ground-truth", metavar="ID", help="Use the samples' expectations for this rule instead of labels.")
@click.option("--compare-with", type=click.IntRange(1), metavar="N", help="Compare with version N of the rule.")
@click.option(
    "--max-fpr",
    "max_false_positive_rate",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Target: maximum false positive rate.",
)
@click.option("--min-recall", type=click.FloatRange(0, 1), metavar="X", help="Target: minimum recall.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", help="Seed of the draw.")
@click.option(
    "--deadline-s", type=click.IntRange(1, MAX_DEADLINE_S), metavar="S", help="Fail if the evaluation takes longer."
)
@click.option("--eval-id", metavar="ID", help="Repeating an id within 24 h returns the same report. Default: random.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as an HTML page."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as received.")
@click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    help="How long to wait for the report. Default: the deadline plus 30 s.",
)
def command(
    *,
    file: str | None,
    rule: RuleName | None,
    set_name: str | None,
    page: Path | None,
    as_json: bool,
    timeout_s: float | None,
    **options: Any,
) -> None:
    """Evaluate a rule on labelled requests, and print the report.

    RULE.json is a request, and `-` is stdin; options override its fields. Exit codes: 0 if the rule is approved, in
    full or for a canary; 3 if it is rejected; 1 if the evaluation is refused or fails, or no report arrives in time; 2
    if the request is invalid and was not sent.
    """
    if (file is None) == (rule is None):
        raise click.UsageError(
            "use either RULE.json or --rule, not both" if file else "specify RULE.json, or --rule ID[@N]"
        )
    if page is not None and not page.absolute().parent.is_dir():
        raise click.UsageError(f"--html: folder {page.absolute().parent} does not exist")
    given = {name: value for name, value in options.items() if value is not None}
    if rule is not None:
        given |= {"rule_id": rule.rule_id, "rule_version": rule.version}
    if set_name is not None:
        drawn_from = SetName.of(set_name)
        given |= {"sample_set": drawn_from.sample_set, "sample_set_version": drawn_from.version}
    targets = {name: given.pop(name) for name in Targets.__struct_fields__ if name in given}
    request = _request(file, given, targets)
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    wait_s = request.deadline_s + LONGER_THAN_DEADLINE_S if timeout_s is None else timeout_s
    with named_kafka_errors(platform.connection):
        received = _await(platform, request, wait_s)
        rule_content = None if page is None else _rule_content(platform, received.report, request)
    if as_json:
        click.echo(received.value)
    else:
        print_report(received.report)
    if page is not None:
        _write(page, html_page(received.report, rule_content))
    click.get_current_context().exit(_exit_code(received.report))


def _request(file: str | None, options: dict[str, Any], targets: dict[str, float]) -> Evaluate:
    fields = {} if file is None else read_request(file)
    if "tenant_id" not in fields | options:
        raise CorrectRequest("no tenant: specify --tenant T, or `tenant_id` in the file")
    if fields.get("eval_id") is None:
        fields["eval_id"] = uuid4().hex
    request = request_of(fields, options, targets)
    say(f"evaluation {printable(str(request.eval_id))}")
    return request


def _await(platform: Platform, request: Evaluate, timeout_s: float) -> Received:
    if not sys.stderr.isatty():
        return asyncio.run(evaluate(platform, request, timeout_s))
    with work_progress("evaluating") as tell:
        progress = BatchProgress(request, tell)
        return asyncio.run(evaluate(platform, request, timeout_s, progress.take))


def _rule_content(platform: Platform, report: Report, request: Evaluate) -> RuleConfig | None:
    """The content that the report names by its hash: either sent with the request, or stored as the rule's version."""
    if request.rule_config is not None or report.rule_version is None:
        return request.rule_config
    rows = asyncio.run(rules_of(platform, report.tenant_id))
    version = report.rule_id, report.rule_version
    return next((row.config for row in rows if (row.rule_id, row.version) == version), None)


def _write(page: Path, written: str) -> None:
    try:
        page.write_text(written, encoding="utf-8")
    except OSError as error:
        raise FixConfiguration(f"cannot write {page}: {error.strerror}") from error
    say(f"wrote {page}")


def _exit_code(report: Report) -> int:
    if report.decision is None:
        return EXIT_NO_DECISION
    return EXIT_REJECTED if report.decision is Decision.REJECT else 0
