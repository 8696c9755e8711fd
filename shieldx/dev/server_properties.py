"""The settings of a development broker, in server.properties format."""

from collections.abc import Mapping
from dataclasses import dataclass

from shieldx.dev.broker_security import Security
from shieldx.dev.cluster_plan import ClusterPlan, Ports


@dataclass(frozen=True, slots=True)
class Node:
    """One broker of a planned cluster, by its number from 1, and its security settings, if any."""

    plan: ClusterPlan
    number: int
    security: Security | None = None

    @property
    def ports(self) -> Ports:
        """This broker's ports."""
        return self.plan.members[self.number - 1].ports

    @property
    def address(self) -> str:
        """The address for clients, host:port."""
        return f"127.0.0.1:{self.ports.broker}"


_FIXED = {
    "process.roles": "broker,controller",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    # Topics must be declared.
    "auto.create.topics.enable": "false",
    # Kafka creates, and later recovers, each partition of these topics before it acknowledges the first commit.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "4",
    # Kafka allocates two index files of this size per partition; the default is ten times as large.
    "log.index.size.max.bytes": str(1024 * 1024),
    # Sized for a laptop with two cores.
    "num.network.threads": "2",
    "num.io.threads": "4",
    # After a kill, the controller readmits the broker only when its last session has expired.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    # Tests wait for these.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}

_NOT_TO_OVERRIDE = frozenset({"listeners", "advertised.listeners", "log.dir", "log.dirs", "process.roles"})


def server_properties(node: Node, overrides: Mapping[str, str], *, data_folder: str = "data") -> str:
    """Return the file's text. The data folder is relative to the broker's working folder.

    `overrides` override the defaults. Raises ValueError if they set the addresses or the data folder, which the stack
    sets itself.
    """
    if refused := _NOT_TO_OVERRIDE & overrides.keys():
        raise ValueError(f"a development broker does not accept these settings: {', '.join(sorted(refused))}")
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
    return "\n".join(["# Rewritten at each start.", *lines, ""])


def _replication(plan: ClusterPlan) -> dict[str, str]:
    """The default replication of topics, including Kafka's internal ones."""
    replicas, in_sync = str(plan.replication), str(plan.min_insync)
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,  # also applies to __consumer_offsets
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def _escaped(text: str) -> str:
    # Java reads these files as Latin-1 and interprets backslashes, line ends and leading spaces.
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    if escaped.startswith(" "):
        escaped = "\\" + escaped
    in_utf16 = ((c, c.encode("utf-16-be").hex()) for c in escaped)
    return "".join(
        c if c.isascii() else "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
        for c, units in in_utf16
    )
