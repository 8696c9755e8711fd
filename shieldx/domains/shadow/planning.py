"""Resolves an evaluation's request to a rule's content and samples, or refuses it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.draw import Drawn, draw
from shieldx.domains.shadow.matching.parts import READING_VERSION
from shieldx.domains.shadow.messages import Evaluate
from shieldx.domains.shadow.report import EvaluationCode
from shieldx.domains.shadow.rule import RuleConfig, rule_hash, rule_type
from shieldx.domains.shadow.tables import RuleRow, SampleSetRow
from shieldx.domains.shadow.usability import why_unusable

if TYPE_CHECKING:
    from shieldx.domains.shadow.rule_versions import RuleVersions
    from shieldx.domains.shadow.sample_sets import SampleSets

_encode = msgspec.json.Encoder(order="deterministic").encode


class PlanningRefusal(Exception):
    """A refused evaluation: the code of its report, and what to do."""

    def __init__(self, code: EvaluationCode, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved request of an evaluation."""

    evaluate: Evaluate
    config: RuleConfig
    rule_version: int | None
    compared: RuleRow | None
    sample_set: SampleSetRow
    drawn: Drawn

    @property
    def outcomes(self) -> str:
        """A digest of everything that determines the findings of a report."""
        asked, row = self.evaluate, self.sample_set
        compared = None if self.compared is None else (self.compared.version, self.compared.hash)
        decides = (
            READING_VERSION,
            asked.tenant_id,
            rule_hash(self.config),
            compared,
            row.sample_set,
            row.version,
            (row.first_offset, row.last_offset),
            asked.sample_size,
            asked.seed,
            asked.ground_truth,
            asked.targets,
        )
        return sha256(_encode(decides)).hexdigest()


def request_digest(evaluate: Evaluate) -> str:
    """A digest of an evaluation's request. The same `eval_id` may be repeated only with the same digest."""
    return sha256(_encode(evaluate)).hexdigest()


def resolve(evaluate: Evaluate, rules: RuleVersions, sets: SampleSets) -> Resolved:
    """Resolve everything that an evaluation names.

    Raises:
        Refusal: something does not exist, is contradictory, or cannot be run.
    """
    config, version, name = _rule(evaluate, rules)
    evaluate = msgspec.structs.replace(evaluate, rule_name=name)
    compared = None if evaluate.compare_with is None else _version(evaluate, evaluate.compare_with, rules)
    for it in (config, *([] if compared is None else [compared.config])):
        unusable = why_unusable(it)
        if unusable is not None:
            raise PlanningRefusal(EvaluationCode.UNUSABLE_RULE, unusable)
    row = sets.find(evaluate.tenant_id, evaluate.sample_set, evaluate.sample_set_version)
    if row is None:
        wanted = f"version {evaluate.sample_set_version} of " if evaluate.sample_set_version else ""
        raise PlanningRefusal(
            EvaluationCode.UNKNOWN_SAMPLE_SET,
            f"unknown {wanted}sample set {evaluate.sample_set!r}: import it with `shieldx samples import`",
        )
    truth = evaluate.ground_truth
    if truth is not None and not any(truth in stratum.expected_rules for stratum in row.strata):
        detail = (
            f"no sample of {evaluate.sample_set!r} expects rule {truth!r}: `shieldx samples show` has what they expect"
        )
        raise PlanningRefusal(EvaluationCode.NO_SAMPLES, detail)
    drawn = draw(row.strata, evaluate.sample_size, evaluate.seed, truth)
    return Resolved(
        evaluate=evaluate, config=config, rule_version=version, compared=compared, sample_set=row, drawn=drawn
    )


def _rule(evaluate: Evaluate, rules: RuleVersions) -> tuple[RuleConfig, int | None, str]:
    """The rule's content, its version if it is in `shadow.rules`, and its name."""
    if evaluate.rule_config is None:
        row = (
            rules.last(evaluate.tenant_id, evaluate.rule_id)
            if evaluate.rule_version is None
            else _version(evaluate, evaluate.rule_version, rules)
        )
        if row is None:
            detail = f"unknown rule {evaluate.rule_id!r}: send its rule_config, or put it with `shieldx rule put`"
            raise PlanningRefusal(EvaluationCode.UNKNOWN_RULE_VERSION, detail)
        return _of_type(evaluate, row.config), row.version, evaluate.rule_name or row.name
    if evaluate.rule_version is not None:
        raise PlanningRefusal(EvaluationCode.RULE_OR_VERSION, "send rule_config or rule_version, not both")
    return _of_type(evaluate, evaluate.rule_config), None, evaluate.rule_name


def _of_type(evaluate: Evaluate, config: RuleConfig) -> RuleConfig:
    found = rule_type(config)
    if evaluate.rule_type not in (None, found):
        detail = f"rule_type says {evaluate.rule_type}, but the rule is of type {found}"
        raise PlanningRefusal(EvaluationCode.RULE_TYPE_DIFFERS, detail)
    return config


def _version(evaluate: Evaluate, version: int, rules: RuleVersions) -> RuleRow:
    row = rules.find(evaluate.tenant_id, evaluate.rule_id, version)
    if row is None:
        detail = f"rule {evaluate.rule_id!r} has no version {version}: `shieldx rule list` lists its versions"
        raise PlanningRefusal(EvaluationCode.UNKNOWN_RULE_VERSION, detail)
    return row
