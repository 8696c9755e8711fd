from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from shieldx.engine.kafka.assignor import CopartitionAssignor, spread

if TYPE_CHECKING:
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

INPUTS = ["audit.appends", "credits.commands"]


class Cluster:
    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return set(range(self._partitions))


def numbers_by_topic(assignment: ConsumerProtocolMemberAssignment) -> dict[str, list[int]]:
    return dict(assignment.assignment)


def test_partition_n_of_all_inputs_goes_to_one_worker() -> None:
    first, second = CopartitionAssignor(), CopartitionAssignor()
    members = {"one": first.metadata(INPUTS), "two": second.metadata(INPUTS)}
    assigned = first.assign(Cluster(5), members)
    for member in members:
        numbers = numbers_by_topic(assigned[member])
        assert numbers["audit.appends"] == numbers["credits.commands"]
    assert sorted(n for member in members for n in numbers_by_topic(assigned[member])[INPUTS[0]]) == [0, 1, 2, 3, 4]


def test_a_worker_asks_for_what_it_had() -> None:
    assignor = CopartitionAssignor()
    assignor.on_assignment(assignor.assign(Cluster(4), {"one": assignor.metadata(INPUTS)})["one"])
    newcomer = CopartitionAssignor()
    members = {"a newcomer": newcomer.metadata(INPUTS), "one": assignor.metadata(INPUTS)}
    assigned = newcomer.assign(Cluster(4), members)
    assert numbers_by_topic(assigned["one"])[INPUTS[0]] == [0, 1]
    assert numbers_by_topic(assigned["a newcomer"])[INPUTS[0]] == [2, 3]


def test_two_workers_of_one_process_do_not_share_what_they_own() -> None:
    one, two = CopartitionAssignor(), CopartitionAssignor()
    one.on_assignment(one.assign(Cluster(4), {"one": one.metadata(INPUTS)})["one"])
    assert one.metadata(INPUTS).user_data != two.metadata(INPUTS).user_data


def test_a_member_of_another_version_owns_nothing() -> None:
    assignor = CopartitionAssignor()
    members = {"other": ConsumerProtocolMemberMetadata(0, INPUTS, b"\x00\x01")}
    assert numbers_by_topic(assignor.assign(Cluster(2), members)["other"])[INPUTS[0]] == [0, 1]


@given(
    count=st.integers(0, 50),
    owned=st.dictionaries(st.text(min_size=1, max_size=3), st.lists(st.integers(0, 60)), min_size=1, max_size=8),
)
def test_every_number_once_evenly_and_as_few_moved_as_can_be(count: int, owned: dict[str, list[int]]) -> None:
    result = spread(count, owned)
    assert sorted(n for numbers in result.values() for n in numbers) == list(range(count))
    sizes = [len(numbers) for numbers in result.values()]
    assert max(sizes) - min(sizes) <= 1
    again = spread(count, result)
    assert again == result, "a second rebalance with the same members moves nothing"
