"""What the first start in a folder fixes permanently: the number of brokers and their ids."""

import base64
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from shieldx.dev.loopback_ports import free_port
from shieldx.errors import FixConfiguration

_FOR_REPLICATION = 3
BROKER_COUNTS = (1, _FOR_REPLICATION)
"""Two brokers are worse than one: the cluster stops if either one fails."""


class BrokerOrdinal(NamedTuple):
    """A broker's number, from 1, and the number of brokers."""

    number: int
    brokers: int

    def __str__(self) -> str:
        return "the broker" if self.brokers == 1 else f"broker {self.number} of {self.brokers}"


ALONE = BrokerOrdinal(1, 1)


class Ports(msgspec.Struct, frozen=True):
    """The two ports of a broker on 127.0.0.1: for clients and other brokers, and for controllers."""

    broker: int
    controller: int


class Member(msgspec.Struct, frozen=True):
    """One broker of a cluster: its ports, and the id of its data folder, which controllers know it by."""

    ports: Ports
    directory_id: str


class ClusterPlan(msgspec.Struct, frozen=True):
    """A cluster; broker n is `members[n - 1]`. Only the ports may change later."""

    cluster_id: str
    members: tuple[Member, ...]

    @property
    def replication(self) -> int:
        """Replicas of every partition."""
        return _FOR_REPLICATION if len(self.members) >= _FOR_REPLICATION else 1

    @property
    def min_insync(self) -> int:
        """Replicas that must have a record before it is acknowledged. Of three, one may be down."""
        return max(1, self.replication - 1)

    def with_ports(self, number: int, ports: Ports) -> "ClusterPlan":
        """The plan with other ports for one broker."""
        members = list(self.members)
        members[number - 1] = Member(ports, members[number - 1].directory_id)
        return ClusterPlan(self.cluster_id, tuple(members))


def new_plan(brokers: int) -> ClusterPlan:
    """Plan a cluster on free ports. Raises ChooseAnotherPort if none is found."""
    ports: set[int] = set()
    while len(ports) < 2 * brokers:
        ports.add(free_port())
    pairs = zip(*[iter(ports)] * 2, strict=True)
    return ClusterPlan(_new_id(), tuple(Member(Ports(*pair), _new_id()) for pair in pairs))


@dataclass(frozen=True, slots=True)
class ClusterFolder:
    """The folder at the absolute path `root`. It holds one broker, or three in folders of their own."""

    root: Path

    @property
    def _file(self) -> Path:
        return self.root / "cluster.json"

    def broker(self, ordinal: BrokerOrdinal) -> Path:
        """The folder of one broker."""
        return self.root if ordinal.brokers == 1 else self.root / str(ordinal.number)

    def plan(self) -> ClusterPlan | None:
        """The plan of the first start here, or None before it.

        Raises FixConfiguration if it cannot be read.
        """
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=ClusterPlan)
        except FileNotFoundError:
            return self._plan_of_the_formatted()
        except msgspec.MsgspecError as error:
            raise FixConfiguration(
                f"{self._file} cannot be read ({error}); `shieldx reset` deletes it with all data"
            ) from error

    def keep(self, plan: ClusterPlan) -> None:
        """Write the plan atomically."""
        self.root.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(plan) + b"\n")
        unfinished.replace(self._file)

    def planned(self, brokers: int | None) -> ClusterPlan:
        """The plan of the first start. Creates one if there is none; `brokers` is 1 by default.

        Raises FixConfiguration if the folder has another number of brokers, and ChooseAnotherPort.
        """
        plan = self.plan()
        if plan is None:
            plan = new_plan(brokers or 1)
            self.keep(plan)
        found = len(plan.members)
        if brokers not in (None, found):
            raise FixConfiguration(
                f"the stack has {_counted(found)}, not {brokers}, and its data cannot move to a cluster of that size. "
                f"Start it with --brokers {found}, or delete all its data with `shieldx reset`"
            )
        return plan

    def _plan_of_the_formatted(self) -> ClusterPlan | None:
        """The plan for one broker of an earlier version, which wrote no plan."""
        try:
            lines = (self.root / "data" / "meta.properties").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return None
        meta = dict(line.split("=", 1) for line in lines if "=" in line)
        new = new_plan(1)
        plan = ClusterPlan(meta["cluster.id"], (Member(new.members[0].ports, meta["directory.id"]),))
        self.keep(plan)
        return plan


def _new_id() -> str:
    """A random id in Kafka's format that does not begin with a dash, which a command would parse as an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return text


def _counted(number: int) -> str:
    return f"{number} broker" if number == 1 else f"{number} brokers"
