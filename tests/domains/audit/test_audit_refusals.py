"""Who appends what cannot be chained is told; what is chained is answered by its entry."""

from __future__ import annotations

import msgspec
import pytest

from shieldx.domains.audit.messages import Refusal, Rotate
from shieldx.messages import DEAD_LETTERS, AuditAppend
from tests.domains.audit.signing import AT, append, driver

CORRELATION = [("correlation-id", b"c-1")]
REPLIES = [*CORRELATION, ("reply-to", b"replies")]
GOOD = msgspec.json.encode(append("k"))


async def refused(value: AuditAppend | bytes, topic: str = "audit.appends") -> tuple[str, str]:
    """The code and the detail of a refusal, which the topic for replies gets as well."""
    ran = driver()
    ran.send(topic, value, key=b"acme", headers=REPLIES)
    await ran.run()
    (refusal,), (record,), (reply,) = ran.messages("audit.results"), ran.read("audit.results"), ran.read("replies")
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.reason, letter.detail) == (refusal.code, refusal.detail)
    assert (record.key, record.headers) == (b"acme", (("schema", b"audit.refusal/1"), *CORRELATION))
    assert (reply.key, reply.value, reply.headers) == (record.key, record.value, record.headers)
    assert ran.messages("audit.log") == []
    assert refusal == Refusal(
        tenant_id="acme", idempotency_key="k", code=refusal.code, detail=refusal.detail, at=refusal.at
    )
    return refusal.code, refusal.detail


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (GOOD[:-1] + b',"paylaod":{}}', "Unknown field - at `$.paylaod`"),
        (GOOD[:-1] + b',"subject":"user/8"}', "Field given twice - at `$.subject`"),
        (GOOD[:-1] + b',"source":{"topic":"t","partition":0,"offset":1,"offset":2}}', "at `$.source.offset`"),
        (GOOD[:-1] + b',"payl\xffoad":{}}', "not UTF-8 at byte 167"),
        (GOOD.replace(b'"outcome":"ok",', b""), "Object missing required field `outcome`"),
        (GOOD.replace(b'"type":"append"', b'"type":"forget"'), "Invalid value '…' - at `$.type`"),
    ],
)
async def test_an_append_that_cannot_be_read_is_answered(value: bytes, detail: str) -> None:
    code, told = await refused(value)
    assert code == "unreadable"
    assert told.endswith(detail)


async def test_an_append_that_is_read_and_refused_is_answered_with_its_reason() -> None:
    assert await refused(append("k", action="credits.consume")) == (
        "reserved_action",
        "actions that begin with audit., credits., shadow., camouflage., privacy. are reserved for the platform",
    )
    assert (await refused(append("k", personal=True, payload=msgspec.Raw(b"{}"))))[0] == "personal_not_sealed"
    assert (await refused(GOOD[:-1] + b',"payload":"\xff"}')) == ("unreadable", "the payload is not UTF-8 at byte 1")


async def test_a_sealed_payload_has_each_of_its_fields_once() -> None:
    sealed = b'{"sealed":"A256GCM/1","key_id":"k","nonce":"AAAA","ciphertext":"AAAA"}'
    ran = driver()
    ran.send("audit.appends", append("k", personal=True, payload=msgspec.Raw(sealed)))
    await ran.run()
    assert len(ran.messages("audit.log")) == 1
    doubled = sealed[:-1] + b',"ciphertext":"QWRhIExvdmVsYWNl"}'
    code, _ = await refused(append("k", personal=True, payload=msgspec.Raw(doubled)))
    assert code == "personal_not_sealed"


async def test_a_payload_is_opaque_and_stays_as_it_is() -> None:
    payload = b'{"n":1e400,"n":2,"text":"\\u0000"}'
    ran = driver()
    ran.send("audit.appends", append("k", subject="a\0b", payload=msgspec.Raw(payload)))
    await ran.run()
    (entry,) = ran.messages("audit.log")
    assert (entry.payload, entry.subject) == (payload.decode(), "a\0b")


async def test_what_agents_append_may_have_more_than_this_release_reads() -> None:
    ran = driver()
    value = GOOD[:-1] + b',"later":1}'
    ran.send("audit.decisions", value, key=b"acme", headers=[("schema", b"audit.append/2")])
    ran.send("audit.decisions", b"{", key=b"acme", headers=REPLIES)
    await ran.run()
    assert (len(ran.messages("audit.log")), len(ran.messages(DEAD_LETTERS))) == (1, 1)
    assert ran.read("audit.results") == [], "nobody waits for an answer to what an agent appends"


async def test_a_rotation_that_cannot_be_read_is_answered() -> None:
    ran = driver()
    rotation = msgspec.json.encode(Rotate(partition=0, key_id="k2", actor="operator", at=AT))
    ran.send("audit.rotations", rotation[:-1] + b',"key_id":"k1"}', headers=CORRELATION)
    await ran.run()
    (refusal,) = ran.messages("audit.results")
    assert (refusal.code, refusal.detail) == ("unreadable", "Field given twice - at `$.key_id`")
