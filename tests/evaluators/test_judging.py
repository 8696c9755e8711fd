"""The result of a pool process for samples and a rule."""

from __future__ import annotations

import pickle

from shieldx.domains.shadow.messages import Outcomes
from shieldx.domains.shadow.rule import Composite, Scored, Signature, Weighted
from shieldx.evaluators.encoded_set import encode_sample
from shieldx.evaluators.judging import Defect, JudgedSamples, JudgingRequest, RuleRefused, encode_rule, joined, judge
from tests import programs
from tests.evaluators.sample_sets import sample

QUOTE = Signature(pattern="'", match="literal")
HELLO = Signature(pattern="hel+o")
SCORED = Scored(signatures=(Weighted(weight=2, rule=QUOTE), Weighted(weight=0.5, rule=HELLO)), threshold=1)
SAMPLES = [
    encode_sample(sample(number, uri)) for number, uri in enumerate(("/?q=1' OR 1", "/?q=hello", "/?q=%27hello"))
]


def judged(rule: Signature | Scored | Composite, compared: Signature | Scored | None = None) -> JudgedSamples:
    found = judge(JudgingRequest(encode_rule(rule), None if compared is None else encode_rule(compared), SAMPLES))
    assert isinstance(found, JudgedSamples)
    return found


def test_each_sample_is_judged_in_its_order() -> None:
    found = judged(QUOTE)
    assert found.outcomes == Outcomes(fired="101")
    assert found.compared is None
    assert found.sources == ("requests.yaml#0", "requests.yaml#1", "requests.yaml#2")
    assert len(found.latencies_ns) == 3
    assert min(found.latencies_ns) > 0


def test_only_a_scored_rule_gives_scores() -> None:
    assert judged(SCORED).outcomes == Outcomes(fired="101", scores=(2.0, 0.5, 2.5))
    assert judged(Composite(operator="not", rules=(QUOTE,))).outcomes == Outcomes(fired="010")


def test_the_rule_it_is_compared_with_judges_the_same_samples() -> None:
    found = judged(QUOTE, compared=SCORED)
    assert (found.outcomes.fired, found.compared) == ("101", Outcomes(fired="101", scores=(2.0, 0.5, 2.5)))
    assert judged(SCORED, compared=HELLO).compared == Outcomes(fired="011")


def test_a_rule_that_cannot_run_says_why() -> None:
    found = judge(JudgingRequest(encode_rule(Signature(pattern="a(b")), None, SAMPLES))
    assert isinstance(found, RuleRefused)
    assert "pattern" in found.error
    compared = judge(JudgingRequest(encode_rule(QUOTE), encode_rule(Signature(pattern="a(b")), SAMPLES))
    assert compared == found


def test_an_unexpected_exception_is_reported_without_quoting_the_sample() -> None:
    found = judge(JudgingRequest(encode_rule(QUOTE), None, [b"\xa6secret"]))
    assert isinstance(found, Defect)
    assert "decode_sample" in found.stack
    assert "secret" not in str(found)


def test_parts_of_a_batch_join_to_the_whole() -> None:
    encoded = encode_rule(SCORED), encode_rule(QUOTE)
    parts = [judge(JudgingRequest(*encoded, SAMPLES[:2])), judge(JudgingRequest(*encoded, SAMPLES[2:]))]
    whole = joined([part for part in parts if isinstance(part, JudgedSamples)])
    assert whole._replace(latencies_ns=()) == judged(SCORED, compared=QUOTE)._replace(latencies_ns=())
    assert len(whole.latencies_ns) == 3


def test_a_process_imports_nothing_of_kafka() -> None:
    program = (
        "import sys, shieldx.evaluators.judging; print({'aiokafka', 'asyncio', 'faust', 'scipy'} & set(sys.modules))"
    )
    output = programs.run_python(program, check=True)
    assert output.stdout.strip() == "set()"


def test_all_that_judging_gives_can_cross_to_another_process() -> None:
    work = JudgingRequest(encode_rule(SCORED), None, SAMPLES)
    assert pickle.loads(pickle.dumps(work)) == work  # noqa: S301 - bytes of our own
    assert pickle.loads(pickle.dumps(judged(SCORED, SCORED))).outcomes == judged(SCORED).outcomes  # noqa: S301 - likewise
