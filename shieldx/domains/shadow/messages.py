"""What is sent to the shadow topics and read from them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shieldx.domains.shadow.rule import RuleConfig
from shieldx.domains.shadow.sample import Label, Sample
from shieldx.messages import Id

MAX_SAMPLES = 100_000
"""Of one set, and so of one evaluation: their outcomes are gathered in memory."""
MAX_DEADLINE_S = 24 * 3600
BATCH_SAMPLES = 100

EvalId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^(?!\d+-\d+$)")]
"""Shorter than other ids: ids of reservations and keys of commands are made from it. `3-812` would be coordinates."""
Name = Annotated[str, Meta(max_length=256)]
Note = Annotated[str, Meta(max_length=1024)]
Rate = Annotated[float, Meta(ge=0, le=1)]
Offset = Annotated[int, Meta(ge=0, lt=2**53)]
SetVersion = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
"""The first 16 hexadecimal digits of a hash over all that a set holds."""


class PutRule(msgspec.Struct, frozen=True, kw_only=True, tag="put_rule", tag_field="type"):
    """Make a rule's next version. With `parent`, only if that is the last one; 0 says that there is none yet."""

    tenant_id: Id
    rule_id: Id
    config: RuleConfig
    name: Name = ""
    author: Id | None = None
    parent: int | UnsetType = UNSET
    note: Note = ""


class Stratum(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Samples of a set that follow each other and are alike in all that is known about them."""

    label: Label
    category: Id
    samples: Annotated[int, Meta(ge=1, le=MAX_SAMPLES)]
    expected_rules: tuple[Id, ...] = ()
    unexpected_rules: tuple[Id, ...] = ()


class SealSamples(msgspec.Struct, frozen=True, kw_only=True, tag="seal_samples", tag_field="type"):
    """All samples of a set's version have been written: from now on evaluations may draw from it.

    `strata` say, in the order of the samples, what is known about them; the offsets are those of the first and the last
    of the samples in the tenant's partition of `shadow.samples`.
    """

    tenant_id: Id
    sample_set: Id
    version: SetVersion
    strata: Annotated[tuple[Stratum, ...], Meta(min_length=1)]
    first_offset: Offset
    last_offset: Offset
    author: Id | None = None

    def __post_init__(self) -> None:
        """Refuse offsets between which no such samples can stand."""
        samples = sum(stratum.samples for stratum in self.strata)
        if self.last_offset - self.first_offset + 1 < samples:
            raise ValueError(f"first_offset and last_offset leave no room for {samples} samples")


class CommandCode(StrEnum):
    """How a command ended."""

    OK = "ok"
    UNCHANGED = "unchanged"
    UNUSABLE_RULE = "unusable_rule"
    NOT_THE_LAST_VERSION = "not_the_last_version"
    TOO_MANY_SAMPLES = "too_many_samples"


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a command: the version that there is now, or why there is none."""

    tenant_id: str
    type: Literal["put_rule", "seal_samples"]
    subject: str
    """The rule's id, or the name of the set."""
    code: CommandCode
    version: int | str | None
    detail: str | None = None
    at: str


class StoredSample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample in `shadow.samples`, under the key `tenant/set/version/index`."""

    tenant_id: Id
    sample_set: Id
    version: SetVersion
    index: Annotated[int, Meta(ge=0)]
    sample: Sample


class Targets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a rule must reach to be let loose."""

    max_false_positive_rate: Rate = 0.01
    min_recall: Rate = 0.8


class Evaluate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Judge a rule on samples of a set: its content in `rule_config`, or a version of it that `shadow.rules` has.

    `eval_id` makes it safe to send again; without one the report has one made of the record's coordinates.
    `ground_truth` is the id of a rule whose expectations in the samples are the truth, instead of their labels; samples
    without one are then left out, but for those that are benign and name no rules. `deadline_s` is stream time.
    """

    tenant_id: Id
    rule_id: Id
    rule_name: Name = ""
    rule_type: Literal["signature", "keywords", "composite", "scored"] | None = None
    rule_config: RuleConfig | None = None
    rule_version: Annotated[int, Meta(ge=1)] | None = None
    sample_size: Annotated[int, Meta(ge=1, le=MAX_SAMPLES)] = 1000
    sample_set: Id = "default"
    sample_set_version: SetVersion | None = None
    ground_truth: Id | None = None
    compare_with: Annotated[int, Meta(ge=1)] | None = None
    targets: Targets = Targets()
    seed: Annotated[int, Meta(ge=0, lt=2**53)] = 0
    deadline_s: Annotated[int, Meta(ge=1, le=MAX_DEADLINE_S)] = 300
    eval_id: EvalId | None = None
    actor: Id | None = None


class SampleBatch(msgspec.Struct, frozen=True, kw_only=True, tag="batch", tag_field="type"):
    """Samples of one evaluation for an evaluator: `samples` are their indices in the set.

    `token` is of this evaluation alone, where an `eval_id` may come again. `strata` is a digest of what the set was
    sealed with.
    """

    tenant_id: Id
    eval_id: str
    token: str
    batch: int
    rule: RuleConfig
    compared: RuleConfig | None
    sample_set: str
    sample_set_version: str
    strata: str
    first_offset: int
    last_offset: int
    samples: tuple[int, ...]


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule said of each sample of a batch: `fired` has a 1 or a 0 for each, `scores` only a scored rule has."""

    fired: Annotated[str, Meta(pattern="^[01]*$")]
    scores: tuple[float, ...] | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True, tag="score", tag_field="type"):
    """The outcomes of a batch, in the order of its samples, or the error that kept it from having any.

    `sources` say where each sample is from. `latencies_ns` are how long the rule took for each.
    """

    tenant_id: Id
    eval_id: str
    token: str
    batch: int
    outcomes: Outcomes | None = None
    compared: Outcomes | None = None
    sources: tuple[str, ...] = ()
    latencies_ns: tuple[int, ...] = ()
    error: str | None = None
