"""Assigns partition numbers to workers, for all inputs of an agent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from typing_extensions import override

from shieldx.engine.kafka.foreign_names import checked_overrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka.cluster import ClusterMetadata

VERSION = 0


class Owned(msgspec.Struct, frozen=True):
    """The metadata that a member sends when it joins."""

    partitions: list[int] = []


@checked_overrides
class CopartitionAssignor(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka ships no types
    """Keeps partition n of all inputs on one worker, spreads numbers evenly, and moves as few as it can.

    Give each consumer an instance of its own: the stock sticky assignor keeps its state in the class, so that two
    workers in one process overwrite each other's, and it splits pairs of inputs.
    """

    name = "shieldx-copartition"

    def __init__(self) -> None:
        self._owned = Owned()

    @override
    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """The metadata that this member sends to the group leader."""
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), msgspec.json.encode(self._owned))

    @override
    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember the assignment, to ask for it again."""
        self._owned = Owned(sorted({number for _, numbers in assignment.assignment for number in numbers}))

    @override
    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign every number to a member, and with it that partition of every input."""
        topics = sorted({topic for member in members.values() for topic in member.subscription})
        count = max((len(cluster.partitions_for_topic(topic) or ()) for topic in topics), default=0)
        owned = {member: _owned_by(metadata) for member, metadata in members.items()}
        numbers = spread(count, owned)
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, [(topic, numbers[member]) for topic in topics], b"")
            for member in members
        }


def spread(count: int, owned: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Distribute numbers 0 to `count` - 1. Shares differ by at most one, and members keep what they owned.

    Members that keep more come first, so that larger shares stay with their state.
    """
    order = sorted(owned, key=lambda member: (-len(owned[member]), member))
    share, larger = divmod(count, len(order))
    room = {member: share + (1 if index < larger else 0) for index, member in enumerate(order)}
    taken: set[int] = set()
    result: dict[str, list[int]] = {}
    for member in order:
        kept = [number for number in sorted(set(owned[member])) if number < count and number not in taken]
        result[member] = kept[: room[member]]
        taken.update(result[member])
    free = iter([number for number in range(count) if number not in taken])
    for member in order:
        while len(result[member]) < room[member]:
            result[member].append(next(free))
        result[member].sort()
    return result


def _owned_by(metadata: ConsumerProtocolMemberMetadata) -> list[int]:
    try:
        return msgspec.json.decode(metadata.user_data or b"{}", type=Owned).partitions
    except msgspec.MsgspecError:
        return []  # data of another version: nothing to keep
