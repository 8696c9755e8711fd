"""A topic that is deleted and created again ends the worker by name; brokers that do not respond do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shieldx.engine.runtime import topic_watch
from shieldx.engine.runtime.topic_watch import TopicWatch
from shieldx.errors import FixConfiguration, RestoreTask

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_watch, "EVERY_S", 0.001)


def watch(answers: Iterator[dict[str, str] | Exception], stopping: asyncio.Event) -> TopicWatch:
    async def topic_ids() -> dict[str, str]:
        answer = next(answers, None)
        if answer is None:
            stopping.set()
            return {}
        if isinstance(answer, Exception):
            raise answer
        return answer

    return TopicWatch("counter", topic_ids)


async def run(*answers: dict[str, str] | Exception) -> None:
    stopping = asyncio.Event()
    await watch(iter(answers), stopping).run(stopping)


async def test_an_id_that_changes_ends_it() -> None:
    with pytest.raises(
        FixConfiguration, match=r"topic b was deleted and created again while agent counter .* was B and is C"
    ):
        await run({"a": "A", "b": "B"}, {"a": "A", "b": "B"}, {"a": "A", "b": "C"}, {})


async def test_it_goes_on_while_ids_stay_topics_are_missing_and_brokers_are_silent() -> None:
    await run({"a": "A"}, {}, RestoreTask("no broker"), {"a": "A", "b": "B"}, {"b": "B"})


async def test_a_topic_that_is_away_for_a_while_is_still_known() -> None:
    with pytest.raises(FixConfiguration, match="topic a"):
        await run({"a": "A"}, {}, {"a": "C"})
