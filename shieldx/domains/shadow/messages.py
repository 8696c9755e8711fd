"""The messages of the shadow topics."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shieldx.classification import FREE_TEXT, NEITHER
from shieldx.domains.shadow.rule import RuleConfig
from shieldx.domains.shadow.sample import Label, Sample
from shieldx.messages import ActorId, AnyId, Detail, Digest, Figure, Id, Number, Rfc3339

MAX_SAMPLES = 100_000
"""Maximum samples of a set, and so of an evaluation, whose outcomes are collected in memory."""
MAX_DEADLINE_S = 24 * 3600
BATCH_SAMPLES = 100
MAX_NAME_LENGTH = 256

EvalId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^(?!\d+-\d+$)"), NEITHER]
"""Shorter than other ids, since ids of reservations and keys of commands include it. `3-812` would be coordinates."""
Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH), FREE_TEXT]
Note = Annotated[str, Meta(max_length=1024), FREE_TEXT]
Rate = Annotated[float, Meta(ge=0, le=1), NEITHER]
Offset = Annotated[int, Meta(ge=0, lt=2**53), NEITHER]
SetVersion = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$"), NEITHER]
"""The first 16 hexadecimal digits of a hash of the set's content."""


class PutRule(msgspec.Struct, frozen=True, kw_only=True, tag="put_rule", tag_field="type"):
    """Create a rule's next version. With `parent`, only if that is the last version; 0 means that there is none yet."""

    tenant_id: Id
    rule_id: Id
    config: RuleConfig
    name: Name = ""
    author: ActorId | None = None
    parent: Number | UnsetType = UNSET
    note: Note = ""


class Stratum(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Consecutive samples of a set with the same properties."""

    label: Label
    category: Id
    samples: Annotated[int, Meta(ge=1, le=MAX_SAMPLES), NEITHER]
    expected_rules: tuple[Id, ...] = ()
    unexpected_rules: tuple[Id, ...] = ()


class SealSamples(msgspec.Struct, frozen=True, kw_only=True, tag="seal_samples", tag_field="type"):
    """Complete a version of a set: all its samples are written, and evaluations may draw from it.

    `strata` give the properties of the samples, in their order. The offsets are those of the first and the last sample
    in the tenant's partition of `shadow.samples`.
    """

    tenant_id: Id
    sample_set: Id
    version: SetVersion
    strata: Annotated[tuple[Stratum, ...], Meta(min_length=1)]
    first_offset: Offset
    last_offset: Offset
    author: ActorId | None = None

    def __post_init__(self) -> None:
        """Refuse offsets that leave no room for the samples."""
        samples = sum(stratum.samples for stratum in self.strata)
        if self.last_offset - self.first_offset + 1 < samples:
            raise ValueError(f"first_offset and last_offset leave no room for {samples} samples")


class CommandCode(StrEnum):
    """How a command ended. `unreadable` means that it could not be executed; send it again when it is mended."""

    OK = "ok"
    UNREADABLE = "unreadable"
    UNCHANGED = "unchanged"
    UNUSABLE_RULE = "unusable_rule"
    NOT_THE_LAST_VERSION = "not_the_last_version"
    TOO_MANY_SAMPLES = "too_many_samples"


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a command: the current version, or the reason for a refusal."""

    tenant_id: AnyId
    type: Annotated[Literal["put_rule", "seal_samples", "unknown"], NEITHER]
    """`unknown` only for an unreadable command, whose tenant and subject may be empty."""
    subject: AnyId
    """The rule's id, or the name of the set."""
    code: Annotated[CommandCode, NEITHER]
    version: Number | AnyId | None
    detail: Detail | None = None
    at: Rfc3339


class StoredSample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample in `shadow.samples`, under the key `tenant/set/version/index`."""

    tenant_id: Id
    sample_set: Id
    version: SetVersion
    index: Annotated[int, Meta(ge=0), NEITHER]
    sample: Sample


class Targets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a rule must reach to be approved."""

    max_false_positive_rate: Rate = 0.01
    min_recall: Rate = 0.8


class Evaluate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Judge a rule on samples of a set. `rule_config` has its content, or `shadow.rules` has the version.

    With an `eval_id`, the request can be repeated safely; the default is made of the record's coordinates.
    `ground_truth` is the id of a rule whose expectations in the samples are used instead of their labels. Samples
    without an expectation are then left out, except benign ones that name no rules. `deadline_s` is in stream time.
    """

    tenant_id: Id
    rule_id: Id
    rule_name: Name = ""
    rule_type: Annotated[Literal["signature", "keywords", "composite", "scored"], NEITHER] | None = None
    rule_config: RuleConfig | None = None
    rule_version: Annotated[int, Meta(ge=1), NEITHER] | None = None
    sample_size: Annotated[int, Meta(ge=1, le=MAX_SAMPLES), NEITHER] = 1000
    sample_set: Id = "default"
    sample_set_version: SetVersion | None = None
    ground_truth: Id | None = None
    compare_with: Annotated[int, Meta(ge=1), NEITHER] | None = None
    targets: Targets = Targets()
    seed: Annotated[int, Meta(ge=0, lt=2**53), NEITHER] = 0
    deadline_s: Annotated[int, Meta(ge=1, le=MAX_DEADLINE_S), NEITHER] = 300
    eval_id: EvalId | None = None
    actor: ActorId | None = None


class SampleBatch(msgspec.Struct, frozen=True, kw_only=True, tag="batch", tag_field="type"):
    """Samples of an evaluation for an evaluator to judge. `samples` are their indices in the set.

    `token` belongs only to this evaluation, while an `eval_id` may be reused. `strata` is a digest of the set's strata
    when it was sealed.
    """

    tenant_id: Id
    eval_id: AnyId
    token: AnyId
    batch: Number
    rule: RuleConfig
    compared: RuleConfig | None
    sample_set: AnyId
    sample_set_version: AnyId
    strata: Digest
    first_offset: Number
    last_offset: Number
    samples: tuple[Number, ...]
    partition: Number | UnsetType = UNSET
    """The partition of `shadow.samples`, if that is another one than the batch's: the tenant has moved since."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's outcome on each sample of a batch. `fired` has a 1 or a 0 for each; only scored rules have `scores`."""

    fired: Annotated[str, Meta(pattern="^[01]*$"), NEITHER]
    scores: tuple[Figure, ...] | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True, tag="score", tag_field="type"):
    """The outcomes of a batch, in the order of its samples, or an error.

    `sources` name the origin of each sample. `latencies_ns` are the rule's times for each.
    """

    tenant_id: Id
    eval_id: AnyId
    token: AnyId
    batch: Number
    outcomes: Outcomes | None = None
    compared: Outcomes | None = None
    sources: tuple[AnyId, ...] = ()
    latencies_ns: tuple[Number, ...] = ()
    error: Detail | None = None
