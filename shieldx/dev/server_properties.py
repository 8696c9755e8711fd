"""The settings of a development broker, as the text of a server.properties file."""

from collections.abc import Mapping
from dataclasses import dataclass

from shieldx.dev.broker_security import Security
from shieldx.dev.cluster_plan import ClusterPlan, Ports


@dataclass(frozen=True, slots=True)
class Node:
    """One broker of a planned cluster, by its number from 1, and how it is secured, if it is."""

    plan: ClusterPlan
    number: int
    security: Security | None = None

    @property
    def ports(self) -> Ports:
        """Its own ports."""
        return self.plan.members[self.number - 1].ports

    @property
    def address(self) -> str:
        """Where clients find it, host:port."""
        return f"127.0.0.1:{self.ports.broker}"


_FIXED = {
    "process.roles": "broker,controller",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    # A topic exists because someone declared it.
    "auto.create.topics.enable": "false",
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

_NOT_TO_OVERRIDE = frozenset({"listeners", "advertised.listeners", "log.dir", "log.dirs", "process.roles"})


def server_properties(node: Node, overrides: Mapping[str, str], *, data_folder: str = "data") -> str:
    """Return the file's text. The data folder is relative to the one the broker runs in.

    `overrides` win over the defaults. Raises ValueError if they name the addresses or the data folder,
    which the broker must know.
    """
    if refused := _NOT_TO_OVERRIDE & overrides.keys():
        raise ValueError(f"a development broker sets these itself: {', '.join(sorted(refused))}")
    ports = node.ports
    controllers = (f"127.0.0.1:{member.ports.controller}" for member in node.plan.members)
    ours = _FIXED | {
        "node.id": str(node.number),
        "log.dirs": data_folder,
        "listeners": f"BROKER://{node.address},CONTROLLER://127.0.0.1:{ports.controller}",
        "advertised.listeners": f"BROKER://{node.address}",
        "controller.quorum.bootstrap.servers": ",".join(controllers),
    }
    ours |= _replication(node.plan)
    if node.security is not None:
        ours |= node.security.properties()
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in (ours | dict(overrides)).items()]
    return "\n".join(["# Written anew at each start.", *lines, ""])


def _replication(plan: ClusterPlan) -> dict[str, str]:
    """How many replicas topics get that say nothing of it, Kafka's own among them."""
    replicas, in_sync = str(plan.replication), str(plan.min_insync)
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,  # also that of __consumer_offsets, which has no setting of its own
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


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
