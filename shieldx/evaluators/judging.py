"""Judges samples by a rule: the work of the pool's processes.

The processes import only this module, and it must stay quick to import: do not import Kafka here.
"""

from __future__ import annotations

import os
from functools import lru_cache
from time import perf_counter_ns, thread_time
from traceback import format_tb
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.shadow.matching.matcher import UnusableRule, compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.messages import Outcomes
from shieldx.domains.shadow.rule import RuleConfig
from shieldx.evaluators.encoded_set import decode_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.matching.matcher import CompiledRule, Judgement

COMPILED_RULES = 64
"""More than the number of evaluations that run at once on a worker. A compiled pattern may take megabytes."""

MAX_PROCESSOR_S = 30.0
"""CPU time of a process for a batch. It does not advance while the process is frozen or waits for others."""

encode_rule = msgspec.json.Encoder(order="sorted").encode
"""Encodes like `rule_hash`, so equal bytes mean equal rules."""
_decode_rule = msgspec.json.Decoder(RuleConfig).decode


class JudgingRequest(NamedTuple):
    """Samples to judge by a rule and, optionally, by a second rule for comparison; everything is encoded."""

    rule: bytes
    compared: bytes | None
    samples: Sequence[bytes]


class JudgedSamples(NamedTuple):
    """The outcomes in the order of the samples.

    `latencies_ns` are for the main rule alone: they cover parsing the request and judging it, not decoding the sample.
    """

    outcomes: Outcomes
    compared: Outcomes | None
    sources: tuple[str, ...]
    latencies_ns: tuple[int, ...]


class TooSlow(NamedTuple):
    """A rule takes too much CPU time."""

    error: str


class RuleRefused(NamedTuple):
    """A rule cannot be run at all."""

    error: str


class Defect(NamedTuple):
    """Judging raised an unexpected exception. Its message is omitted because it may quote a sample."""

    kind: str
    stack: str


def judge(work: JudgingRequest) -> JudgedSamples | TooSlow | RuleRefused | Defect:
    """Judge samples. Never raises, because an exception that cannot be pickled would look like a dead process."""
    try:
        return _judged(work)
    except UnusableRule as error:
        return RuleRefused(str(error))
    except Exception as error:  # noqa: BLE001 - the calling process logs it and answers with it
        return Defect(type(error).__name__, "".join(format_tb(error.__traceback__)))


def ready() -> int:
    """The id of this process, after it has imported everything it needs."""
    return os.getpid()


def joined(parts: Sequence[JudgedSamples]) -> JudgedSamples:
    """Join the outcomes of the parts of a batch."""
    if len(parts) == 1:
        return parts[0]
    return JudgedSamples(
        _joined_outcomes([part.outcomes for part in parts]),
        _joined_outcomes([part.compared for part in parts if part.compared is not None]) if parts[0].compared else None,
        tuple(source for part in parts for source in part.sources),
        tuple(latency for part in parts for latency in part.latencies_ns),
    )


def _judged(work: JudgingRequest) -> JudgedSamples | TooSlow:
    rule = _compiled(work.rule)
    compared = None if work.compared is None else _compiled(work.compared)
    judgements, compared_judgements = [], []
    sources: list[str] = []
    latencies_ns: list[int] = []
    until_s = thread_time() + MAX_PROCESSOR_S
    for encoded in work.samples:
        if thread_time() > until_s:
            return TooSlow(
                f"{len(sources)} of {len(work.samples)} samples took {MAX_PROCESSOR_S:g} s of CPU time: "
                "simplify the rule, or leave out long samples"
            )
        sample = decode_sample(encoded)
        began_ns = perf_counter_ns()
        parsed = ParsedRequest(sample.request)
        judgements.append(rule.judge(parsed))
        latencies_ns.append(perf_counter_ns() - began_ns)
        sources.append(sample.source)
        if compared is not None:
            compared_judgements.append(compared.judge(parsed))
    return JudgedSamples(
        _outcomes(rule, judgements),
        None if compared is None else _outcomes(compared, compared_judgements),
        tuple(sources),
        tuple(latencies_ns),
    )


@lru_cache(maxsize=COMPILED_RULES)
def _compiled(rule: bytes) -> CompiledRule:
    return compile_rule(_decode_rule(rule))


def _outcomes(rule: CompiledRule, judgements: Sequence[Judgement]) -> Outcomes:
    return Outcomes(
        fired="".join("1" if judgement.fired else "0" for judgement in judgements),
        scores=tuple(judgement.score for judgement in judgements) if rule.is_scored else None,
    )


def _joined_outcomes(parts: Sequence[Outcomes]) -> Outcomes:
    scores = [part.scores for part in parts if part.scores is not None]
    return Outcomes(
        fired="".join(part.fired for part in parts),
        scores=tuple(score for part in scores for score in part) if scores else None,
    )
