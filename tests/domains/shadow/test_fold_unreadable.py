"""An evaluation or a command that cannot be read is answered, and leaves no trace."""

from __future__ import annotations

import msgspec
import pytest

from shieldx.domains.credits import tables as ledger
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import CommandCode, Evaluate, PutRule
from shieldx.domains.shadow.report import EvaluationCode
from shieldx.domains.shadow.rule import Keywords, Signature
from shieldx.messages import DEAD_LETTERS
from tests.domains.shadow.shadow_world import INJECTION, TENANT, ShadowWorld

CORRELATION = [("correlation-id", b"c-1")]
REPLIES = [*CORRELATION, ("reply-to", b"replies")]
EVALUATE = msgspec.json.encode(Evaluate(tenant_id=TENANT, rule_id="r", rule_config=INJECTION, eval_id="e"))
PUT_RULE = msgspec.json.encode(PutRule(tenant_id=TENANT, rule_id="r", config=INJECTION))


@pytest.fixture
def world() -> ShadowWorld:
    return ShadowWorld()


@pytest.mark.parametrize(
    ("value", "eval_id", "detail"),
    [
        (EVALUATE[:-1] + b',"sample_sice":10}', "e", "Unknown field - at `$.sample_sice`"),
        (EVALUATE[:-1] + b',"targets":{"min_recall":0.1,"min_recall":0.9}}', "e", "at `$.targets.min_recall`"),
        (EVALUATE.replace(b'"e"', b'"1-2"'), "1-2", "matching regex '…' - at `$.eval_id`"),
        (EVALUATE.replace(b'"eval_id":"e"', b'"eval_id":"e\\u0000"'), "e\0", "U+0000 in a text - at `$.eval_id`"),
        (EVALUATE[:-2], "0-0", "Input data was truncated"),
    ],
)
async def test_an_evaluation_is_answered_by_a_report(
    world: ShadowWorld, value: bytes, eval_id: str, detail: str
) -> None:
    world.shadow.send(tables.EVALUATIONS, value, key=TENANT.encode(), headers=REPLIES)
    await world.shadow.run()
    (report,), (record,), (reply,) = (
        world.shadow.messages(tables.REPORTS),
        world.shadow.read(tables.REPORTS),
        world.shadow.read("replies"),
    )
    assert (report.status, report.code, report.tenant_id) == ("refused", EvaluationCode.UNREADABLE, TENANT)
    assert report.eval_id == eval_id
    assert report.detail.endswith(detail)
    assert (reply.value, reply.headers) == (record.value, (("schema", b"shadow.report/1"), *CORRELATION))
    assert [letter.reason for letter in world.dead_letters()] == ["unreadable"]
    for topic in (tables.AUDIT, tables.PLANS, ledger.COMMANDS):
        assert world.shadow.read(topic) == []


async def test_a_command_is_answered_by_a_result(world: ShadowWorld) -> None:
    doubled = PUT_RULE.replace(b'"pattern":', b'"pattern":"x","pattern":')
    assert doubled != PUT_RULE
    for value in (doubled, PUT_RULE):
        world.shadow.send(tables.COMMANDS, value, key=TENANT.encode(), headers=REPLIES)
    await world.shadow.run()
    unreadable, put = world.shadow.messages(tables.RESULTS)
    assert (unreadable.code, unreadable.type, unreadable.subject) == (CommandCode.UNREADABLE, "put_rule", "r")
    assert (unreadable.version, unreadable.detail) == (None, "Field given twice - at `$.config.pattern`")
    assert (put.code, put.version) == (CommandCode.OK, 1)
    assert len(world.shadow.read("replies")) == 2, "every answer is a reply, whichever topic it is in"


@pytest.mark.parametrize("config", [Signature(pattern="a\0b", match="literal"), Keywords(keywords=("a\0b",))])
async def test_a_pattern_may_contain_what_requests_contain(world: ShadowWorld, config: Signature | Keywords) -> None:
    world.shadow.send(tables.COMMANDS, PutRule(tenant_id=TENANT, rule_id="r", config=config))
    await world.shadow.run()
    assert [row.config for row in world.shadow.messages(tables.RULES)] == [config]


async def test_a_payment_that_the_ledger_could_not_read_settles_nothing(world: ShadowWorld) -> None:
    """Anybody can bring about such a result, under any key."""
    value = b'{"tenant_id":"org-123","idempotency_key":"shadow/e/0123456789abcdef/reserve","amount":1}'
    world.ledger.send(
        ledger.COMMANDS, value, key=TENANT.encode(), headers=[("reply-to", tables.PAYMENTS.encode()), *CORRELATION]
    )
    await world.ledger.run()
    assert len(world.ledger.read(tables.PAYMENTS)) == 1
    await world.pay()
    assert world.shadow.messages(DEAD_LETTERS) == [], "it has no digest, so it answers nothing that was sent"
    assert world.shadow.read(tables.AUDIT) == []
