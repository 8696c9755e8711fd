"""A faust app for one replayable agent, made to be embedded: no files, no environment, no web server, no producer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import faust
from faust.app.base import BootStrategy

from shieldx.engine.replayable.faust_transport import CommittedConsumer, Transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from shieldx.engine.replayable.offset_tracker import OffsetTrackers
    from shieldx.engine.tasks.log import Header, TopicPartition

COMMIT_INTERVAL_S = 0.5
"""What is repeated after a kill: the records of so long."""
BUFFERED_RECORDS = 1000


class TakenRecord(NamedTuple):
    """A record as the engine names its parts."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class _Settings(faust.Settings):
    """Settings that are given here and nowhere else."""

    def getenv(self, env_name: str) -> Any:  # noqa: ARG002 - faust's signature
        """The environment of the process means nothing to faust: `BROKER_URL` and the like may be anyone's."""
        return None


class _Boot(BootStrategy):
    enable_kafka_producer = False
    enable_web = False


class ReplayableApp(faust.App):
    """An app that leaves no folder behind."""

    logger = logging.getLogger("faust")
    Settings = _Settings
    BootStrategy = _Boot

    async def on_first_start(self) -> None:
        """Make no folder: there are no tables."""

    async def check_group(self) -> None:
        """Raise what keeps this worker out of its group."""
        if isinstance(self.consumer, CommittedConsumer):
            await self.consumer.check_group()

    def lags(self) -> dict[TopicPartition, int]:
        """How many offsets of each partition are not done, where that is known."""
        return self.consumer.lags() if isinstance(self.consumer, CommittedConsumer) else {}


def make_app(
    group: str,
    topics: Sequence[str],
    consumer_options: Mapping[str, Any],
    progress: OffsetTrackers,
    take: Callable[[TakenRecord], Awaitable[None]],
) -> ReplayableApp:
    """An app that hands every committed record of some topics to `take`, which waits as long as it has no room."""
    app = ReplayableApp(
        group,
        autodiscover=False,
        broker="aiokafka://",
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_session_timeout=consumer_options["session_timeout_ms"] / 1000,
        key_serializer="raw",
        store="memory://",
        stream_buffer_maxsize=BUFFERED_RECORDS,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        value_serializer="raw",
        web_enabled=False,
    )
    app.transport = Transport(app, consumer_options, progress)
    channel = app.topic(*topics, key_type=bytes, value_type=bytes)

    async def hand_on(stream: Any) -> None:
        try:
            async for event in stream.noack().events():
                await take(_record(event.message))
        except Exception as error:
            # faust would start the agent again, behind the record that it had in hand.
            await app.crash(error)
            raise

    app.agent(channel, name=group)(hand_on)
    return app


def _record(message: Any) -> TakenRecord:
    return TakenRecord(
        message.topic,
        message.partition,
        message.offset,
        round(message.timestamp * 1000),
        message.key,
        message.value,
        message.headers or (),
    )
