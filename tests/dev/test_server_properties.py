"""The text of server.properties: addresses and replicas follow from the plan, and Java reads the values as given."""

import pytest

from shieldx.dev.cluster_plan import ClusterPlan, Member, Ports
from shieldx.dev.server_properties import Node, server_properties

ONE = ClusterPlan("cluster", (Member(Ports(1234, 5678), "a"),))
THREE = ClusterPlan("cluster", tuple(Member(Ports(number, 10 + number), str(number)) for number in (1, 2, 3)))


def _lines(node: Node, **overrides: str) -> dict[str, str]:
    given = {name.replace("_", "."): value for name, value in overrides.items()}
    text = server_properties(node, given)
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def test_every_address_is_on_loopback() -> None:
    properties = _lines(Node(ONE, 1))
    assert properties["listeners"] == "BROKER://127.0.0.1:1234,CONTROLLER://127.0.0.1:5678"
    assert properties["advertised.listeners"] == "BROKER://127.0.0.1:1234"
    assert properties["controller.quorum.bootstrap.servers"] == "127.0.0.1:5678"


def test_a_single_broker_has_all_replicas() -> None:
    properties = _lines(Node(ONE, 1))
    assert {value for name, value in properties.items() if "replication" in name or "isr" in name} == {"1"}


def test_three_brokers_know_each_other_and_one_may_be_down() -> None:
    properties = _lines(Node(THREE, 2))
    assert properties["node.id"] == "2"
    assert properties["advertised.listeners"] == "BROKER://127.0.0.1:2"
    assert properties["controller.quorum.bootstrap.servers"] == "127.0.0.1:11,127.0.0.1:12,127.0.0.1:13"
    assert {value for name, value in properties.items() if "replication" in name} == {"3"}
    assert {value for name, value in properties.items() if name.endswith((".isr", "insync.replicas"))} == {"2"}


def test_an_override_wins() -> None:
    assert _lines(Node(ONE, 1), num_io_threads="7")["num.io.threads"] == "7"


@pytest.mark.parametrize("name", ["listeners", "log.dirs", "advertised.listeners"])
def test_the_brokers_own_settings_cannot_be_overridden(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        server_properties(Node(ONE, 1), {name: "x"})


@pytest.mark.parametrize(
    ("value", "written"),
    [("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), (" a", "\\ a"), ("é", "\\u00e9"), ("\U0001f600", "\\ud83d\\ude00")],
)
def test_values_are_written_as_java_reads_them(value: str, written: str) -> None:
    assert _lines(Node(ONE, 1), x=value)["x"] == written
