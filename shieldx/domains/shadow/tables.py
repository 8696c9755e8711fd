"""The topics of shadow evaluation by name, and the rows of its tables."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from shieldx.domains.shadow.messages import Evaluate, Stratum
from shieldx.domains.shadow.report import Report
from shieldx.domains.shadow.rule import RuleConfig
from shieldx.messages import Id

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
    version: int
    name: str
    config: RuleConfig
    hash: str
    author: str | None
    parent: int | None
    note: str
    at: str


class SampleSetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A complete version of a sample set, and the location of its samples in `shadow.samples`.

    Of several versions of a set, the one with the highest `sequence` was sealed last.
    """

    tenant_id: Id
    sample_set: Id
    version: str
    sequence: int
    strata: tuple[Stratum, ...]
    first_offset: int
    last_offset: int
    at: str
    partition: int | UnsetType = UNSET
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

    tenant_id: str
    eval_id: str
    token: str
    actor: str | None
    amount: int


class Plan(msgspec.Struct, frozen=True, kw_only=True, tag="plan", tag_field="type"):
    """A running evaluation: the request, and what it was resolved to at its beginning.

    `awaits` is the digest of the reserve command until the ledger has answered it. `strata` is a digest of what was
    known about the samples. `digest` is one of the request: the same `eval_id` with another digest is a conflict.
    `outcomes` is a digest of everything that determines the findings, and the key of the cache. `context` and
    `reply_to` are the request's.
    """

    evaluate: Evaluate
    payment: Payment
    digest: str
    config: RuleConfig
    rule_version: int | None
    compared: RuleConfig | None
    sample_set_version: str
    strata: str
    outcomes: str
    awaits: str | None
    requested_ms: int
    deadline_ms: int
    context: tuple[tuple[str, str], ...]
    reply_to: str | None

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
    step: Literal["commit", "abort"]
    awaits: str
    answer_by_ms: int
    report: Report
    named: bool
    digest: str
    outcomes: str
    requested_ms: int
    context: tuple[tuple[str, str], ...]
    reply_to: str | None


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag="reported", tag_field="type"):
    """A report that may be asked for again until stream time `forget_ms`, and serves the cache until `fresh_ms`.

    `awaits` is the digest of a command that the ledger had not answered in time.
    """

    digest: str
    outcomes: str
    """A digest of everything that determines its outcomes: the key of the cache."""
    report: Report
    fresh_ms: int
    forget_ms: int
    awaits: str | None = None
