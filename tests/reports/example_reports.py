"""Reports made by the domain from samples that are described in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.domains.shadow.draw import Drawn
from shieldx.domains.shadow.judged import JudgedEvaluation, RuleOutcomes
from shieldx.domains.shadow.messages import Targets
from shieldx.domains.shadow.report import Charge, EvaluationCode, Report
from shieldx.domains.shadow.reporting import findings, timings
from shieldx.domains.shadow.rule import Signature, rule_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RULE = Signature(pattern="(?i)union\\s+select")
BEGUN_MS = 1_795_000_000_000

Row = tuple[str, bool, bool, int]
"""Category, whether the rule should fire, whether it did, and the number of samples."""

USUAL: tuple[Row, ...] = (
    ("sql-injection", True, True, 470),
    ("sql-injection", True, False, 10),
    ("xss", True, True, 9),
    ("xss", True, False, 11),
    ("browsing", False, False, 497),
    ("browsing", False, True, 3),
)


def judged_of(
    rows: Iterable[Row], *, scores: Sequence[float] | None = None, compared: Sequence[bool] | None = None
) -> JudgedEvaluation:
    """Samples in the order of the rows, each from `made.yaml`."""
    each = [(category, positive, fired) for category, positive, fired, number in rows for _ in range(number)]
    drawn = Drawn(tuple(range(len(each))), tuple(row[1] for row in each), tuple(row[0] for row in each))
    return JudgedEvaluation(
        drawn,
        RuleOutcomes(tuple(row[2] for row in each), None if scores is None else tuple(scores)),
        None if compared is None else RuleOutcomes(tuple(compared), None),
        tuple(f"made.yaml#{number}" for number in range(len(each))),
        tuple(1000 + 10 * number for number in range(len(each))),
    )


def completed(judged: JudgedEvaluation | None = None, **fields: Any) -> Report:
    """The report on judged samples."""
    judged = judged_of(USUAL) if judged is None else judged
    targets = fields.get("targets", Targets())
    compared_with = None if judged.compared is None else (2, "c" * 64)
    found = findings(judged, targets, compared_with)
    began = timings(BEGUN_MS, BEGUN_MS + 412, judged.latencies_ns)
    charge = Charge(amount=len(judged.drawn.indices), reservation_id="shadow/e1", status="committed")
    usual = {
        "status": "completed",
        "code": EvaluationCode.OK,
        "detail": None,
        "sample_set_version": "0123456789abcdef",
        "sample_offsets": (12, 1011),
        "sample_size": len(judged.drawn.indices),
        "charge": charge,
        "timings": began,
    }
    return _report(usual | found | fields)


def refused(code: EvaluationCode = EvaluationCode.UNKNOWN_SAMPLE_SET, **fields: Any) -> Report:
    """The report of an evaluation that did not start."""
    usual = {
        "status": "refused",
        "code": code,
        "detail": "unknown sample set 'default': import it with `shieldx samples import`",
        "sample_set_version": None,
        "sample_offsets": None,
        "sample_size": 0,
        "charge": Charge(amount=0, reservation_id=None, status="none"),
        "timings": timings(BEGUN_MS, BEGUN_MS),
    }
    return _report(usual | fields)


def scored(number: int = 400) -> JudgedEvaluation:
    """A scored rule that separates well but not perfectly: scores rise, and most high ones are positives."""
    rows: list[Row] = []
    scores = []
    for place in range(number):
        positive = (place * 37) % number < place
        scores.append(float(place // 4))
        rows.append(("sql-injection" if positive else "browsing", positive, place > number * 0.6, 1))
    return judged_of(rows, scores=scores)


def _report(fields: dict[str, Any]) -> Report:
    usual: dict[str, Any] = {
        "tenant_id": "org-123",
        "eval_id": "e1",
        "rule_id": "sqli-1",
        "rule_name": "union select",
        "rule_type": "signature",
        "rule_hash": rule_hash(RULE),
        "rule_version": 3,
        "sample_set": "default",
        "seed": 7,
        "ground_truth": None,
        "targets": Targets(),
    }
    return Report(**(usual | fields))
