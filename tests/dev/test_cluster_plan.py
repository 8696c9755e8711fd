"""What the first start in a folder fixes, and what later ones may change."""

from pathlib import Path

import pytest

from shieldx.dev.cluster_plan import ALONE, BrokerOrdinal, ClusterFolder, Ports
from shieldx.errors import FixConfiguration


def test_the_first_start_fixes_the_number_of_brokers(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path)
    assert folder.plan() is None
    plan = folder.planned(3)
    assert len(plan.members) == 3
    assert folder.planned(3) == folder.planned(None) == folder.plan() == plan
    with pytest.raises(FixConfiguration, match=r"has 3 brokers, not 1, .* --brokers 3, or .* `shieldx reset`"):
        folder.planned(1)


def test_one_broker_is_the_default(tmp_path: Path) -> None:
    assert len(ClusterFolder(tmp_path).planned(None).members) == 1


def test_no_port_is_given_twice(tmp_path: Path) -> None:
    ports = [member.ports for member in ClusterFolder(tmp_path).planned(3).members]
    assert len({port for pair in ports for port in (pair.broker, pair.controller)}) == 6


def test_ports_of_one_broker_may_change(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path)
    before = folder.planned(3)
    folder.keep(before.with_ports(2, Ports(1, 2)))
    after = folder.planned(3)
    assert after.members[1].ports == Ports(1, 2)
    assert after.members[1].directory_id == before.members[1].directory_id
    assert after.members[::2] == before.members[::2]


def test_one_broker_lives_in_the_folder_itself_and_several_in_folders_of_their_own(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path)
    assert folder.broker(ALONE) == tmp_path
    assert folder.broker(BrokerOrdinal(2, 3)) == tmp_path / "2"


def test_a_broker_that_was_formatted_without_a_plan_keeps_its_identity(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("#\nversion=1\ncluster.id=abc\nnode.id=1\ndirectory.id=def\n")
    folder = ClusterFolder(tmp_path)
    plan = folder.planned(None)
    assert (plan.cluster_id, plan.members[0].directory_id) == ("abc", "def")
    assert folder.plan() == plan
    with pytest.raises(FixConfiguration, match="has 1 broker, not 3"):
        folder.planned(3)


def test_a_plan_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(FixConfiguration, match=r"cluster\.json cannot be read .* `shieldx reset`"):
        ClusterFolder(tmp_path).plan()
