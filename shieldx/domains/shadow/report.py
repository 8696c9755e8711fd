"""The report that answers an evaluation."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from shieldx.domains.shadow.messages import Targets


class EvaluationCode(StrEnum):
    """The reason for an evaluation's status."""

    OK = "ok"
    UNREADABLE = "unreadable"
    RULE_TYPE_DIFFERS = "rule_type_differs"
    RULE_OR_VERSION = "rule_or_version"
    UNKNOWN_RULE_VERSION = "unknown_rule_version"
    UNUSABLE_RULE = "unusable_rule"
    UNKNOWN_SAMPLE_SET = "unknown_sample_set"
    NO_SAMPLES = "no_samples"
    EVAL_ID_CONFLICT = "eval_id_conflict"
    PAYMENT_REFUSED = "payment_refused"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    EVALUATION_FAILED = "evaluation_failed"


class Decision(StrEnum):
    """The recommended decision."""

    APPROVE_FULL_DEPLOYMENT = "APPROVE_FULL_DEPLOYMENT"
    APPROVE_CANARY = "APPROVE_CANARY"
    REJECT = "REJECT"


class RiskLevel(StrEnum):
    """The expected effect of the rule on benign traffic: see shieldx/domains/shadow/verdict.py."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


Interval = tuple[float, float]
"""A 95 % interval: lower and upper end."""


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """The results for the samples of one category and truth. `rate` is recall for positives and FPR for negatives."""

    category: str
    positive: bool
    samples: int
    fired: int
    rate: float
    interval: Interval


AucRocIs = Literal["area_under_roc", "balanced_accuracy"]


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """For a scored rule: points (FPR, recall) and (recall, precision), thinned, from the highest threshold down."""

    roc: tuple[tuple[float, float], ...]
    precision_recall: tuple[tuple[float, float], ...]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Every figure derived from the confusion matrix and, for a scored rule, from its scores."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    precision: float
    recall: float
    f1_score: float
    false_positive_rate: float
    specificity: float
    accuracy: float
    mcc: float
    cohens_kappa: float
    auc_roc: float
    auc_roc_is: AucRocIs
    chi_square: float
    p_value: float
    intervals: dict[str, Interval]
    """95 % Wilson intervals of precision, recall, false_positive_rate and specificity."""


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A recommendation and the sources of the samples that support it: at most ten, out of `samples_total`."""

    advice: str
    samples: tuple[str, ...]
    samples_total: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Another version on the same samples. `p_value` is from McNemar's exact test of equal error rates."""

    rule_version: int
    rule_hash: str
    figures: Figures
    only_this_right: int
    only_other_right: int
    p_value: float


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of an evaluation, as the ledger has answered. `unsettled`: it has not answered in time, or refused."""

    amount: int
    reservation_id: str | None
    status: Literal["none", "committed", "released", "expired", "unsettled"]


class LatencyNs(msgspec.Struct, frozen=True, kw_only=True):
    """How long the rule took per sample, in nanoseconds."""

    p50: int
    p95: int
    p99: int


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one run to the next. `execution_time_ms` is stream time from request to report."""

    requested_at: str
    reported_at: str
    execution_time_ms: int
    rule_latency_ns: LatencyNs | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an evaluation. Apart from `timings` it is identical, byte for byte, whenever it is made again.

    A `refused` evaluation did not start, and a `failed` one did not finish: both have a `code` and no figures. With the
    code `unreadable`, only `detail` is certain; ids that could not be read are empty, and the other fields say nothing.
    """

    tenant_id: str
    eval_id: str
    rule_id: str
    rule_name: str
    status: Literal["completed", "refused", "failed"]
    code: EvaluationCode
    detail: str | None
    rule_type: str | None
    rule_hash: str | None
    rule_version: int | None
    sample_set: str
    sample_set_version: str | None
    sample_offsets: tuple[int, int] | None
    sample_size: int
    seed: int
    ground_truth: str | None
    targets: Targets
    charge: Charge
    true_positives: int | None = None
    false_positives: int | None = None
    true_negatives: int | None = None
    false_negatives: int | None = None
    precision: float | None = None
    recall: float | None = None
    f1_score: float | None = None
    false_positive_rate: float | None = None
    specificity: float | None = None
    accuracy: float | None = None
    mcc: float | None = None
    cohens_kappa: float | None = None
    auc_roc: float | None = None
    auc_roc_is: AucRocIs | None = None
    chi_square: float | None = None
    p_value: float | None = None
    intervals: dict[str, Interval] | None = None
    categories: tuple[Category, ...] = ()
    categories_left_out: int = 0
    """Of more than 400 categories, a report contains those with the most wrong decisions."""
    curves: Curves | None = None
    confidence: float | None = None
    """The posterior probability that the rule meets its targets."""
    risk_level: RiskLevel | None = None
    decision: Decision | None = None
    recommendations: tuple[Recommendation, ...] = ()
    comparison: Comparison | None = None
    cached_from: str | None = None
    """The evaluation whose outcomes were reused, if any."""
    replayed: bool = False
    timings: Timings
