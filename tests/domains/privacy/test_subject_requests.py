"""Requests of subjects are shown until they are answered, and every step is audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.privacy.messages import AnswerRequest, Code, RequestKind
from shieldx.domains.privacy.tables import AUDIT, REQUESTS
from tests.domains.privacy.privacy_agent import ADA, BOB, FIRST, acquire, answer, driver, erase, open_request, rows

if TYPE_CHECKING:
    from shieldx.engine.testing.driver import AgentDriver


def reply(request_id: str = "r1") -> AnswerRequest:
    return AnswerRequest(tenant_id="acme", request_id=request_id, actor="dpo", answer="sent by post")


def answers(agent: AgentDriver) -> dict[str, str | None]:
    return {row.request_id: row.answer for row in rows(agent, REQUESTS)}


async def test_a_request_is_open_until_it_is_answered() -> None:
    agent = driver()
    assert (await answer(agent, open_request(kind=RequestKind.ACCESS))).code is Code.OK
    assert answers(agent) == {"r1": None}
    assert (await answer(agent, reply())).subject == ADA
    assert answers(agent) == {"r1": "sent by post"}


async def test_an_erasure_answers_the_subjects_requests_for_it() -> None:
    agent = driver()
    await answer(agent, acquire())
    for request in (
        open_request("r1"),
        open_request("r2"),
        open_request("r3", RequestKind.ACCESS),
        open_request("r4", subject=BOB),
    ):
        await answer(agent, request)
    assert (await answer(agent, erase())).requests == ("r1", "r2")
    assert answers(agent) == {"r1": "erased", "r2": "erased", "r3": None, "r4": None}


async def test_repeating_a_request_changes_nothing_and_another_one_needs_its_own_id() -> None:
    agent = driver()
    await answer(agent, open_request())
    await answer(agent, reply())
    assert (await answer(agent, open_request())).code is Code.OK
    assert answers(agent) == {"r1": "sent by post"}
    assert (await answer(agent, open_request(subject=BOB))).code is Code.REQUEST_EXISTS
    assert (await answer(agent, reply())).code is Code.REQUEST_ANSWERED
    assert (await answer(agent, reply("r2"))).code is Code.REQUEST_UNKNOWN


async def test_entries_name_keys_and_requests_and_the_subject_by_its_pseudonym() -> None:
    agent = driver()
    await answer(agent, acquire())
    await answer(agent, open_request())
    await answer(agent, erase(note="asked by ada@analytical.example"))
    opened, erased = agent.messages(AUDIT)
    assert (opened.action, opened.subject, opened.outcome) == ("privacy.open_request", f"subject/{ADA}", "ok")
    assert (erased.action, erased.actor, erased.outcome) == ("privacy.erase", "dpo", "ok")
    assert msgspec.json.decode(erased.payload) == {
        "keys": [FIRST],
        "requests": ["r1"],
        "note": "asked by ad***@analytical.example",
    }
