"""How far one task has read its inputs, read from and written as position records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.position import VERSION, Position
from shieldx.errors import FixConfiguration, RestoreTask
from shieldx.state.forms import FORMAT_LEVEL, OLDEST_FORMAT_LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.tasks.context import TaskContext


class TaskPositions:
    """The next offset of each input, and the level of stored forms of the partition."""

    def __init__(self, agent: Agent, partition: int, context: TaskContext) -> None:
        self._agent = agent
        self._partition = partition
        self._context = context
        self._outputs: dict[str, int] = {}
        self._topic_ids: dict[TopicPartition, dict[str, str]] = {}
        self._grown_at: dict[TopicPartition, int] = {}
        self.inputs = tuple(TopicPartition(topic, partition) for topic in agent.inputs)
        self.next_offsets: dict[TopicPartition, int] = {}
        self.format_level = FORMAT_LEVEL
        self.level_is_recorded = False
        """Whether a position record says what `format_level` is."""
        self.exist = False
        """Whether a position was ever committed."""

    @property
    def tenants_left(self) -> bool:
        """Whether tenants moved from here to another partition, so that the tables may still have rows of theirs."""
        return bool(self._grown_at)

    async def read(self) -> None:
        """Read the last committed positions. An input without a position is read from its first record.

        Raises:
            RestoreTask: the log could not be read, or it ends before a position.
            FixConfiguration: records were deleted unread, or this release or the settings do not match the records.
        """
        ids = await self._context.log.topic_ids([*self._agent.inputs, *self._agent.tables])
        found = await self._context.log.positions(self.inputs)
        bounds = await self._context.log.bounds(self.inputs)
        self.exist = bool(found)
        tables = {name: ids[name] for name in self._agent.tables if name in ids}
        self._topic_ids = {tp: {tp.topic: ids[tp.topic], **tables} for tp in self.inputs if tp.topic in ids}
        self.format_level = self._level(found)
        for tp in self.inputs:
            first, end = bounds[tp]
            position = found.get(tp)
            next_offset = first if position is None else position.next_offset
            if position is not None and position.partitions not in (None, self._context.partitions):
                raise FixConfiguration(
                    f"{self._where(tp)} was written with {position.partitions} partitions per topic, and "
                    f"SHIELDX_PARTITIONS is {self._context.partitions}. Set it back, or move tenants to more "
                    "partitions with `shieldx topics grow`"
                )
            if position is not None:
                self._check_ids(tp, position, ids)
            if next_offset < first:
                raise FixConfiguration(
                    f"{tp.topic}/{tp.partition}: records {next_offset} to {first - 1} were deleted before they were "
                    f"read. Lengthen retention; to continue without them, {self._remedy(tp, first)}"
                )
            if next_offset > end:
                raise RestoreTask(
                    f"{tp.topic}/{tp.partition} ends at {end}, before position {next_offset}: the topic was deleted "
                    f"and created again, or has lost records. If so, {self._remedy(tp, end)}; records that arrive "
                    "before that would be skipped"
                )
            self.next_offsets[tp] = next_offset
            if position is not None and position.grown_at is not None:
                self._grown_at[tp] = position.grown_at
            elif position is not None and position.partitions is None:
                self._grown_at[tp] = next_offset  # written by hand, maybe over one that said that tenants left

    async def refuse_state_without(self) -> None:
        """Refuse to start on state whose position is missing.

        Raises:
            RestoreTask: there is one by now. Another worker has taken the partition over since it was looked for, and
                the state is what that one has committed.
            FixConfiguration: there is none.
        """
        tp = self.inputs[0]
        if await self._context.log.positions(self.inputs):
            raise RestoreTask(f"another worker has taken over partition {self._partition} of agent {self._agent.name}")
        raise FixConfiguration(
            f"partition {self._partition} of agent {self._agent.name} has state, but {self._where(tp)} does not say "
            "how far it has read: the record was deleted. Starting at the first record would answer everything again; "
            f"{self._remedy(tp, None)}"
        )

    def advance(self, tp: TopicPartition, next_offset: int) -> Position:
        """Move the position of an input; returns what to write."""
        self.next_offsets[tp] = next_offset
        return Position(
            version=VERSION,
            next_offset=next_offset,
            application=self._context.application,
            format_level=self.format_level,
            partitions=self._context.partitions,
            topic_ids=self._topic_ids.get(tp, {}),
            grown_at=self._grown_at.get(tp),
            outputs=self._outputs,
        )

    def with_level(self) -> dict[TopicPartition, Position]:
        """Positions to write that move nothing, and say the level."""
        return {tp: self.advance(tp, next_offset) for tp, next_offset in tuple(self.next_offsets.items())}

    def committed(self, written: Mapping[TopicPartition, int]) -> None:
        """Note a committed transaction; `written` has the next offsets of the partitions that it wrote."""
        mine = {tp.topic: offset for tp, offset in written.items() if tp.partition == self._partition}
        self._outputs = self._outputs | mine

    def _check_ids(self, tp: TopicPartition, position: Position, ids: Mapping[str, str]) -> None:
        """Refuse topics that were deleted and created again since the position was written.

        Raises:
            FixConfiguration: one of them was.
        """
        for topic, topic_id in position.topic_ids.items():
            if ids.get(topic, topic_id) == topic_id:
                continue
            what = (
                f"offset {position.next_offset} is one of the deleted topic; to read the new one from its beginning, "
                f"{self._remedy(tp, 0)}"
                if topic == tp.topic
                else f"the state in it is lost; restore it from a backup. To go on without, {self._remedy(tp, None)}"
            )
            raise FixConfiguration(
                f"topic {topic} was deleted and created again: {self._where(tp)} knows it by id {topic_id}, and now it "
                f"has id {ids[topic]}. {what[0].upper()}{what[1:]}"
            )

    def _level(self, found: Mapping[TopicPartition, Position]) -> int:
        wanted = self._context.format_level
        recorded = max((it.format_level for it in found.values() if it.format_level is not None), default=None)
        where = f"partition {self._partition} of agent {self._agent.name}"
        if recorded is not None and not OLDEST_FORMAT_LEVEL <= recorded <= FORMAT_LEVEL:
            raise FixConfiguration(
                f"{where} has stored forms of level {recorded}; this release reads {_READ}. {_remedy_of(recorded)}"
            )
        if wanted is not None and not OLDEST_FORMAT_LEVEL <= wanted <= FORMAT_LEVEL:
            raise FixConfiguration(
                f"SHIELDX_FORMAT_LEVEL is {wanted}; this release writes {_READ}. Unset it, or run a release of "
                "that level"
            )
        if wanted is not None and recorded is not None and wanted < recorded:
            raise FixConfiguration(
                f"{where} has stored forms of level {recorded}, and SHIELDX_FORMAT_LEVEL is {wanted}: a level cannot "
                "be lowered. Unset it"
            )
        level = wanted or recorded or (OLDEST_FORMAT_LEVEL if found else FORMAT_LEVEL)
        self.level_is_recorded = level == recorded
        return level

    def _where(self, tp: TopicPartition) -> str:
        return f"{self._agent.positions}/{self._partition}, key {tp.topic},"

    def _remedy(self, tp: TopicPartition, offset: int | None) -> str:
        """What to write by hand. It says the level as well: a release that cannot read it must not go on from there."""
        number = "N" if offset is None else offset
        return (
            f'write {{"version":{VERSION},"next_offset":{number},"format_level":{self.format_level}}} to '
            f"{self._agent.positions}/{self._partition} under the key {tp.topic}"
        )


_READ = f"levels {OLDEST_FORMAT_LEVEL} to {FORMAT_LEVEL}"


def _remedy_of(recorded: int) -> str:
    """What to do about a level that this release does not read."""
    if recorded > FORMAT_LEVEL:
        return "An upgrade was finalised: run the release that did so, or a later one"
    return "Upgrade to a release between the two first, and finalise that upgrade"
