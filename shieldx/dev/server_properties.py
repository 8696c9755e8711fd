"""The settings of a development broker, as the text of a server.properties file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ports:
    """The two ports of a broker on 127.0.0.1: for clients, and for itself as the controller."""

    broker: int
    controller: int


_FIXED = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    # A topic exists because someone declared it.
    "auto.create.topics.enable": "false",
    # One broker is every replica there is.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Each partition of these topics is made and later recovered before the first commit is answered.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "4",
    # Two index files of this size are set aside for each partition; the default is ten times as large.
    "log.index.size.max.bytes": str(1024 * 1024),
    # A laptop and two cores.
    "num.network.threads": "2",
    "num.io.threads": "4",
    # After a kill, the controller lets the broker back in only once its last session has run out.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    # Tests wait for these.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}

_LISTENERS = re.compile(r"^listeners=BROKER://127\.0\.0\.1:(\d+),CONTROLLER://127\.0\.0\.1:(\d+)$", re.MULTILINE)


_NOT_TO_OVERRIDE = frozenset({"listeners", "advertised.listeners", "log.dir", "log.dirs", "process.roles"})


def server_properties(ports: Ports, overrides: Mapping[str, str], *, data_folder: str = "data") -> str:
    """Return the file's text. The data folder is relative to the one the broker runs in.

    `overrides` win over the defaults. Raises ValueError if they name the addresses or the data folder,
    which the broker must know.
    """
    if refused := _NOT_TO_OVERRIDE & overrides.keys():
        raise ValueError(f"a development broker sets these itself: {', '.join(sorted(refused))}")
    ours = _FIXED | {
        "log.dirs": data_folder,
        "listeners": f"BROKER://127.0.0.1:{ports.broker},CONTROLLER://127.0.0.1:{ports.controller}",
        "advertised.listeners": f"BROKER://127.0.0.1:{ports.broker}",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports.controller}",
    }
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in (ours | dict(overrides)).items()]
    return "\n".join(["# Written anew at each start.", *lines, ""])


def ports_in(text: str) -> Ports | None:
    """Return the ports that a text made by `server_properties` names, or None for another text."""
    match = _LISTENERS.search(text)
    return Ports(int(match[1]), int(match[2])) if match else None


def _escaped(text: str) -> str:
    # Java reads these files as Latin-1, and a backslash, a line's end or a leading space mean something.
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    if escaped.startswith(" "):
        escaped = "\\" + escaped
    in_utf16 = ((c, c.encode("utf-16-be").hex()) for c in escaped)
    return "".join(
        c if c.isascii() else "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
        for c, units in in_utf16
    )
