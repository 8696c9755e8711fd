"""Notices that a topic was deleted and created again while its readers run."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from shieldx.errors import FixConfiguration, RestoreTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

logger = logging.getLogger(__name__)

EVERY_S = 1.0


class TopicWatch:
    """Asks for the ids of some topics every second. An id is the only trace once the new topic has grown."""

    def __init__(self, name: str, topic_ids: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        """`name` is the agent's. `topic_ids` raises RestoreTask while brokers do not respond."""
        self._name = name
        self._topic_ids = topic_ids
        self._known: dict[str, str] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Watch until `stopping` is set.

        Raises:
            FixConfiguration: a topic was created again, or an ACL is missing.
        """
        while not stopping.is_set():
            try:
                self._compare(await self._topic_ids())
            except RestoreTask as error:
                logger.debug("the ids of topics are unknown for now: %s", error, extra={"agent": self._name})
            try:
                async with asyncio.timeout(EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    def _compare(self, ids: Mapping[str, str]) -> None:
        for topic, topic_id in ids.items():
            if self._known.setdefault(topic, topic_id) != topic_id:
                raise FixConfiguration(
                    f"topic {topic} was deleted and created again while agent {self._name} was running: its id was "
                    f"{self._known[topic]} and is {topic_id}. Start the agent again: it reads the new topic, or says "
                    "what to do first"
                )
