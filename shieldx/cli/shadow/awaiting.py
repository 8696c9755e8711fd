"""Sends an evaluation, and waits for its report."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.cli.asking import StartAgent, letter_about, open_asking
from shieldx.cli.shadow.evaluation_request import CorrectRequest
from shieldx.domains.shadow.report import EvaluationCode, Report
from shieldx.domains.shadow.tables import EVALUATIONS, REPORTS, SCORES
from shieldx.engine.tasks.codec import CORRELATION_ID, Codec, encode
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.bootstrap.platform import Platform
    from shieldx.domains.shadow.messages import Evaluate
    from shieldx.messages import Coordinates


class Received(NamedTuple):
    """A report, and the value of its record."""

    report: Report
    value: bytes


async def evaluate(
    platform: Platform, request: Evaluate, timeout_s: float, scored: Callable[[bytes], None] | None = None
) -> Received:
    """Send a request and return its report. `scored` gets the scores of evaluations meanwhile.

    Raises:
        CorrectRequest: the agent could not read it.
        StartAgent: no report came within `timeout_s`; sent again under its `eval_id`, it gets the same one.
        FixConfiguration: a topic does not exist.
        KafkaError: see `named_kafka_errors`.
    """
    # Derived from the content: a repeated request matches the same answer, and never that of another request.
    correlation_id = sha256(encode(request)).hexdigest().encode()
    _, schema = Codec(platform.topics, []).schema_header(type(request))
    answers = [REPORTS, DEAD_LETTERS, *([] if scored is None else [SCORES])]
    async with open_asking(platform, request.tenant_id, answers) as asking:
        sent = await asking.send(EVALUATIONS, request, schema=schema.decode(), correlation_id=correlation_id)
        try:
            async with asyncio.timeout(timeout_s):
                async for record in asking.records(timeout_s):
                    if record.topic == SCORES:
                        if scored is not None:
                            scored(record.value)
                    elif record.topic == DEAD_LETTERS:
                        letter = letter_about(record, [sent])
                        if letter is not None:
                            raise CorrectRequest(f"the request was dead-lettered: {letter.reason}: {letter.detail}")
                    elif (CORRELATION_ID, correlation_id) in record.headers:
                        report = msgspec.json.decode(record.value, type=Report)
                        # Anybody can bring about an unreadable report with this id; ours has a dead letter.
                        if report.code is not EvaluationCode.UNREADABLE and _answers(report, request, sent):
                            return Received(report, record.value)
        except (TimeoutError, StartAgent):
            pass
    raise StartAgent(
        f"no report within {timeout_s:g} s: agent `shadow`, its evaluators or the ledger may not be running (`shieldx "
        f"status` says so). What was sent is not lost: the same command with --eval-id {request.eval_id} waits for the "
        "same report"
    )


def _answers(report: Report, request: Evaluate, sent: Coordinates) -> bool:
    """Whether a report is on this request. Scores make its correlation id public, and anyone may send another with it.

    If the `eval_id` belongs to another evaluation, the report has the request's coordinates instead.
    """
    ids = request.eval_id, f"{sent.partition}-{sent.offset}"
    return report.tenant_id == request.tenant_id and report.eval_id in ids
