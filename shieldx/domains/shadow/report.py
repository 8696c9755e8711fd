"""The report that answers an evaluation."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from shieldx.classification import FREE_TEXT, NEITHER
from shieldx.domains.shadow.messages import Targets
from shieldx.messages import AnyId, Detail, Digest, Figure, Flag, Number, Rfc3339, Word


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


Interval = tuple[Figure, Figure]
"""A 95 % interval: lower and upper end."""


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """The results for the samples of one category and truth. `rate` is recall for positives and FPR for negatives."""

    category: AnyId
    positive: Flag
    samples: Number
    fired: Number
    rate: Figure
    interval: Interval


AucRocIs = Annotated[Literal["area_under_roc", "balanced_accuracy"], NEITHER]


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """For a scored rule: points (FPR, recall) and (recall, precision), thinned, from the highest threshold down."""

    roc: tuple[tuple[Figure, Figure], ...]
    precision_recall: tuple[tuple[Figure, Figure], ...]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Every figure derived from the confusion matrix and, for a scored rule, from its scores."""

    true_positives: Number
    false_positives: Number
    true_negatives: Number
    false_negatives: Number
    precision: Figure
    recall: Figure
    f1_score: Figure
    false_positive_rate: Figure
    specificity: Figure
    accuracy: Figure
    mcc: Figure
    cohens_kappa: Figure
    auc_roc: Figure
    auc_roc_is: AucRocIs
    chi_square: Figure
    p_value: Figure
    intervals: dict[Word, Interval]
    """95 % Wilson intervals of precision, recall, false_positive_rate and specificity."""


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A recommendation and the sources of the samples that support it: at most ten, out of `samples_total`."""

    advice: Word
    samples: tuple[AnyId, ...]
    samples_total: Number


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Another version on the same samples. `p_value` is from McNemar's exact test of equal error rates."""

    rule_version: Number
    rule_hash: Digest
    figures: Figures
    only_this_right: Number
    only_other_right: Number
    p_value: Figure


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of an evaluation, as the ledger has answered. `unsettled`: it has not answered in time, or refused."""

    amount: Number
    reservation_id: AnyId | None
    status: Annotated[Literal["none", "committed", "released", "expired", "unsettled"], NEITHER]


class LatencyNs(msgspec.Struct, frozen=True, kw_only=True):
    """How long the rule took per sample, in nanoseconds."""

    p50: Number
    p95: Number
    p99: Number


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one run to the next. `execution_time_ms` is stream time from request to report."""

    requested_at: Rfc3339
    reported_at: Rfc3339
    execution_time_ms: Number
    rule_latency_ns: LatencyNs | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an evaluation. Apart from `timings` it is identical, byte for byte, whenever it is made again.

    A `refused` evaluation did not start, and a `failed` one did not finish: both have a `code` and no figures. With the
    code `unreadable`, only `detail` is certain; ids that could not be read are empty, and the other fields say nothing.
    """

    tenant_id: AnyId
    eval_id: AnyId
    rule_id: AnyId
    rule_name: Annotated[str, FREE_TEXT]
    status: Annotated[Literal["completed", "refused", "failed"], NEITHER]
    code: Annotated[EvaluationCode, NEITHER]
    detail: Detail | None
    rule_type: Word | None
    rule_hash: Digest | None
    rule_version: Number | None
    sample_set: AnyId
    sample_set_version: AnyId | None
    sample_offsets: tuple[Number, Number] | None
    sample_size: Number
    seed: Number
    ground_truth: AnyId | None
    targets: Targets
    charge: Charge
    true_positives: Number | None = None
    false_positives: Number | None = None
    true_negatives: Number | None = None
    false_negatives: Number | None = None
    precision: Figure | None = None
    recall: Figure | None = None
    f1_score: Figure | None = None
    false_positive_rate: Figure | None = None
    specificity: Figure | None = None
    accuracy: Figure | None = None
    mcc: Figure | None = None
    cohens_kappa: Figure | None = None
    auc_roc: Figure | None = None
    auc_roc_is: AucRocIs | None = None
    chi_square: Figure | None = None
    p_value: Figure | None = None
    intervals: dict[Word, Interval] | None = None
    categories: tuple[Category, ...] = ()
    categories_left_out: Number = 0
    """Of more than 400 categories, a report contains those with the most wrong decisions."""
    curves: Curves | None = None
    confidence: Figure | None = None
    """The posterior probability that the rule meets its targets."""
    risk_level: Annotated[RiskLevel, NEITHER] | None = None
    decision: Annotated[Decision, NEITHER] | None = None
    recommendations: tuple[Recommendation, ...] = ()
    comparison: Comparison | None = None
    cached_from: AnyId | None = None
    """The evaluation whose outcomes were reused, if any."""
    replayed: Flag = False
    timings: Timings
