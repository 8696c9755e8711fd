"""Creates the reports of evaluations and their entries in the audit log."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import CommandCode, CommandResult, Targets
from shieldx.domains.shadow.report import Charge, EvaluationCode, Report
from shieldx.domains.shadow.reporting import timings
from shieldx.domains.shadow.rule import rule_hash, rule_type
from shieldx.messages import AuditAppend, Coordinates, Origin, Output, rfc3339

if TYPE_CHECKING:
    from shieldx.domains.shadow.messages import Evaluate
    from shieldx.domains.shadow.planning import PlanningRefusal
    from shieldx.domains.shadow.tables import Plan, SampleSetRow, Settling
    from shieldx.messages import Envelope, Source

FREE = Charge(amount=0, reservation_id=None, status="none")
_WITHOUT_FINDINGS = [field.name for field in msgspec.structs.fields(Report) if field.required]
_encode = msgspec.json.Encoder().encode


def refused(evaluate: Evaluate, eval_id: str, refusal: PlanningRefusal, at_ms: int) -> Report:
    """The report of a refused evaluation."""
    return Report(
        tenant_id=evaluate.tenant_id,
        eval_id=eval_id,
        rule_id=evaluate.rule_id,
        rule_name=evaluate.rule_name,
        status="refused",
        code=refusal.code,
        detail=refusal.detail,
        rule_type=evaluate.rule_type,
        rule_hash=None if evaluate.rule_config is None else rule_hash(evaluate.rule_config),
        rule_version=evaluate.rule_version,
        sample_set=evaluate.sample_set,
        sample_set_version=evaluate.sample_set_version,
        sample_offsets=None,
        sample_size=0,
        seed=evaluate.seed,
        ground_truth=evaluate.ground_truth,
        targets=evaluate.targets,
        charge=FREE,
        timings=timings(at_ms, at_ms),
    )


def unreadable(envelope: Envelope, source: Source) -> Output:
    """The report of an evaluation, or the result of a command, that could not be read."""
    answer = _unreadable_evaluation if source.topic == tables.EVALUATIONS else _unreadable_command
    return answer(envelope, source)


def _unreadable_evaluation(envelope: Envelope, source: Source) -> Output:
    texts = envelope.texts
    report = Report(
        tenant_id=envelope.tenant_id,
        eval_id=texts.get("eval_id", f"{source.partition}-{source.offset}"),
        rule_id=texts.get("rule_id", ""),
        rule_name="",
        status="refused",
        code=EvaluationCode.UNREADABLE,
        detail=envelope.why,
        rule_type=None,
        rule_hash=None,
        rule_version=None,
        sample_set="",
        sample_set_version=None,
        sample_offsets=None,
        sample_size=0,
        seed=0,
        ground_truth=None,
        targets=Targets(),
        charge=FREE,
        timings=timings(source.at_ms, source.at_ms),
    )
    return Output(tables.REPORTS, envelope.tenant_id, report)


def _unreadable_command(envelope: Envelope, source: Source) -> Output:
    texts = envelope.texts
    result = CommandResult(
        tenant_id=envelope.tenant_id,
        type=envelope.type or "unknown",  # type: ignore[arg-type] # one of the tags of the topic's messages
        subject=texts.get("rule_id") or texts.get("sample_set") or "",
        code=CommandCode.UNREADABLE,
        version=None,
        detail=envelope.why,
        at=rfc3339(source.at_ms),
    )
    return Output(tables.RESULTS, envelope.tenant_id, result)


def begun(plan: Plan, row: SampleSetRow, samples: int, **rest: Any) -> Report:
    """The report of an evaluation that began, to be completed with its outcome and its charge."""
    evaluate = plan.evaluate
    return Report(
        tenant_id=evaluate.tenant_id,
        eval_id=plan.eval_id,
        rule_id=evaluate.rule_id,
        rule_name=evaluate.rule_name,
        rule_type=rule_type(plan.config),
        rule_hash=rule_hash(plan.config),
        rule_version=plan.rule_version,
        sample_set=row.sample_set,
        sample_set_version=row.version,
        sample_offsets=(row.first_offset, row.last_offset),
        sample_size=samples,
        seed=evaluate.seed,
        ground_truth=evaluate.ground_truth,
        targets=evaluate.targets,
        charge=FREE,
        **rest,
    )


def unpaid(report: Report, detail: str) -> Report:
    """The report of an evaluation that was completed but not paid: it says nothing of what was found."""
    kept = {name: getattr(report, name) for name in _WITHOUT_FINDINGS}
    rest = {"status": "failed", "code": EvaluationCode.PAYMENT_REFUSED, "detail": detail}
    timings = msgspec.structs.replace(report.timings, rule_latency_ns=None)
    return Report(**kept | rest | {"timings": timings})


def from_cache(plan: Plan, known: Report, at_ms: int) -> Report:
    """The report of an evaluation whose outcomes are cached. It is not charged again."""
    return msgspec.structs.replace(
        known,
        eval_id=plan.eval_id,
        rule_id=plan.evaluate.rule_id,
        rule_name=plan.evaluate.rule_name,
        rule_version=plan.rule_version,
        charge=FREE,
        cached_from=known.cached_from or known.eval_id,
        timings=msgspec.structs.replace(
            known.timings, requested_at=rfc3339(at_ms), reported_at=rfc3339(at_ms), execution_time_ms=0
        ),
    )


def report_outputs(report: Report, origin: Origin | None, actor: str | None, place: str, at_ms: int) -> list[Output]:
    """A report and its entry in the audit log. `place` distinguishes several reports of the same evaluation."""
    outcome = report.code.value if report.decision is None else report.decision.value
    append = AuditAppend(
        tenant_id=report.tenant_id,
        idempotency_key=f"shadow/{report.eval_id}/{place}",
        actor=actor,
        action="shadow.evaluate",
        subject=f"rule/{report.rule_id}",
        outcome=outcome,
        digest=sha256(_encode(report)).hexdigest(),
        at=rfc3339(at_ms),
    )
    return [
        Output(tables.REPORTS, report.tenant_id, report, origin),
        Output(tables.AUDIT, report.tenant_id, append, origin),
    ]


def audit_entry(tenant_id: str, action: str, subject: str, actor: str | None, outcome: str, source: Source) -> Output:
    """An entry in the audit log about a message."""
    append = AuditAppend(
        tenant_id=tenant_id,
        idempotency_key=f"shadow/{source.place}",
        actor=actor,
        action=action,
        subject=subject,
        outcome=outcome,
        digest=sha256(source.value).hexdigest(),
        source=Coordinates(source.topic, source.partition, source.offset),
        at=rfc3339(source.at_ms),
    )
    return Output(tables.AUDIT, tenant_id, append)


def origin_of(row: Plan | Settling) -> Origin:
    """The origin of the request, which is stored in its row."""
    return Origin(tuple((name, content.encode("latin-1")) for name, content in row.context), row.reply_to)


def kept(origin: Origin) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """The stored form of a request's origin. Headers are bytes, which Latin-1 maps to text and back."""
    return tuple((name, content.decode("latin-1")) for name, content in origin.context), origin.reply_to
