"""The topics of shadow evaluation by name, and the rows of its tables."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from shieldx.classification import FREE_TEXT, NEITHER
from shieldx.domains.shadow.messages import Evaluate, Stratum
from shieldx.domains.shadow.report import Report
from shieldx.domains.shadow.rule import RuleConfig
from shieldx.messages import Actor, AnyId, Digest, Flag, Id, Number, Rfc3339, TimeMs, Word

COMMANDS = "shadow.commands"
RESULTS = "shadow.results"
AUDIT = "audit.decisions"
RULES = "shadow.rules"
SAMPLES = "shadow.samples"
SAMPLE_SETS = "shadow.sample-sets"
EVALUATIONS = "shadow.evaluations"
PAYMENTS = "shadow.payments"
PLANS = "shadow.plans"
BATCHES = "shadow.batches"
SCORES = "shadow.scores"
COLLECTED = "shadow.collected"
REPORTS = "shadow.reports"


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a rule. `hash` names its content; `parent` is the version that it was made from."""

    tenant_id: Id
    rule_id: Id
    version: Number
    name: Annotated[str, FREE_TEXT]
    config: RuleConfig
    hash: Digest
    author: Actor | None
    parent: Number | None
    note: Annotated[str, FREE_TEXT]
    at: Rfc3339


class SampleSetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A complete version of a sample set, and the location of its samples in `shadow.samples`.

    Of several versions of a set, the one with the highest `sequence` was sealed last.
    """

    tenant_id: Id
    sample_set: Id
    version: AnyId
    sequence: Number
    strata: tuple[Stratum, ...]
    first_offset: Number
    last_offset: Number
    at: Rfc3339
    partition: Number | UnsetType = UNSET
    """The partition of `shadow.samples`, if that is another one: the tenant has moved since."""

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(stratum.samples for stratum in self.strata)


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation costs, and whose it is.

    `token` belongs only to this evaluation, while an `eval_id` may be reused after a day. It is derived with a key of
    the platform, so that nobody knows it before it is used.
    """

    tenant_id: AnyId
    eval_id: AnyId
    token: AnyId
    actor: Actor | None
    amount: Number


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag="plan", tag_field="type"):
    """A running evaluation: the request, and what it was resolved to at its beginning.

    `awaits` is the digest of the reserve command until the ledger has answered it. `strata` is a digest of what was
    known about the samples. `digest` is one of the request: the same `eval_id` with another digest is a conflict.
    `outcomes` is a digest of everything that determines the findings, and the key of the cache. `context` and
    `reply_to` are the request's.
    """

    evaluate: Evaluate
    payment: Payment
    digest: Digest
    config: RuleConfig
    rule_version: Number | None
    compared: RuleConfig | None
    sample_set_version: AnyId
    strata: Digest
    outcomes: Digest
    awaits: Digest | None
    requested_ms: TimeMs
    deadline_ms: TimeMs
    context: tuple[tuple[Word, AnyId], ...]
    reply_to: Word | None

    @property
    def named(self) -> bool:
        """Whether the request has an `eval_id`, so that it can be asked for again."""
        return self.evaluate.eval_id is not None

    @property
    def eval_id(self) -> str:
        """The request's id, or the one made of its coordinates."""
        return self.payment.eval_id

    @property
    def token(self) -> str:
        """The token of the evaluation."""
        return self.payment.token


class Settling(msgspec.Struct, frozen=True, kw_only=True, tag="settling", tag_field="type"):
    """An evaluation that has ended. Its report is published once the ledger has answered the last step of its payment.

    `awaits` is the digest of that command. Other fields are as in `Plan`.
    """

    payment: Payment
    step: Annotated[Literal["commit", "abort"], NEITHER]
    awaits: Digest
    answer_by_ms: TimeMs
    report: Report
    named: Flag
    digest: Digest
    outcomes: Digest
    requested_ms: TimeMs
    context: tuple[tuple[Word, AnyId], ...]
    reply_to: Word | None


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag="reported", tag_field="type"):
    """A report that may be asked for again until stream time `forget_ms`, and serves the cache until `fresh_ms`.

    `awaits` is the digest of a command that the ledger had not answered in time.
    """

    digest: Digest
    outcomes: Digest
    """A digest of everything that determines its outcomes: the key of the cache."""
    report: Report
    fresh_ms: TimeMs
    forget_ms: TimeMs
    awaits: Digest | None = None
