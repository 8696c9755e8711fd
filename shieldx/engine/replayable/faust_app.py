"""An embeddable faust app for one replayable agent: without files, environment, web server or producer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.engine.replayable.faust_internals import ReplayableApp, UndecodedMessage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from shieldx.engine.replayable.offset_tracker import OffsetTrackers
    from shieldx.engine.tasks.log import Header, Record

COMMIT_INTERVAL_S = 0.5
"""Commit interval, and so how much is repeated after a kill."""
BUFFERED_RECORDS = 1000


class TakenRecord(NamedTuple):
    """A record with the attribute names that the engine uses."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


def make_app(
    group: str,
    topics: Sequence[str],
    consumer_options: Mapping[str, Any],
    progress: OffsetTrackers,
    take: Callable[[Record], Awaitable[None]],
    topic_ids: Mapping[str, str],
) -> ReplayableApp:
    """An app that passes every committed record of some topics to `take`, which waits until it has room.

    It commits the id of each topic with its offsets, as far as `topic_ids` has it.
    """
    app = ReplayableApp(
        group,
        consumer_options,
        progress,
        topic_ids,
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
    channel = app.topic(*topics, key_type=bytes, value_type=bytes)

    async def hand_on(stream: Any) -> None:
        try:
            async for event in stream.noack().events():
                await take(_record(event.message))
        except Exception as error:
            # faust would restart the agent after the record that it was processing
            await app.crash(error)
            raise

    app.agent(channel, name=group)(hand_on)
    return app


def _record(message: Any) -> Record:
    if isinstance(message, UndecodedMessage):
        return message.undecoded
    return TakenRecord(
        message.topic,
        message.partition,
        message.offset,
        round(message.timestamp * 1000),
        message.key,
        message.value,
        message.headers or (),
    )
