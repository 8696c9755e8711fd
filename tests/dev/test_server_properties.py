"""The text of server.properties: the ports can be read back, and Java reads the values as they were given."""

import pytest

from shieldx.dev.server_properties import Ports, ports_in, server_properties


def _lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def test_the_ports_can_be_read_back() -> None:
    assert ports_in(server_properties(Ports(1234, 5678), {})) == Ports(1234, 5678)


def test_another_text_names_no_ports() -> None:
    assert ports_in("listeners=PLAINTEXT://:9092\n") is None


def test_every_address_is_on_loopback() -> None:
    properties = _lines(server_properties(Ports(1234, 5678), {}))
    assert properties["listeners"] == "BROKER://127.0.0.1:1234,CONTROLLER://127.0.0.1:5678"
    assert properties["advertised.listeners"] == "BROKER://127.0.0.1:1234"


def test_an_override_wins() -> None:
    assert _lines(server_properties(Ports(1, 2), {"num.io.threads": "7"}))["num.io.threads"] == "7"


@pytest.mark.parametrize("name", ["listeners", "log.dirs", "advertised.listeners"])
def test_what_the_broker_must_know_cannot_be_overridden(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        server_properties(Ports(1, 2), {name: "x"})


@pytest.mark.parametrize(
    ("value", "written"),
    [("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), (" a", "\\ a"), ("é", "\\u00e9"), ("\U0001f600", "\\ud83d\\ude00")],
)
def test_values_are_written_as_java_reads_them(value: str, written: str) -> None:
    assert _lines(server_properties(Ports(1, 2), {"x": value}))["x"] == written
