"""The platform that the settings describe: its addresses, agents and topics."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from shieldx.bootstrap.declared import declared
from shieldx.bootstrap.keyring_source import keyring
from shieldx.bootstrap.postgres import postgres_dsn, schema_at
from shieldx.bootstrap.stack_file import STACK_FILE, read_stack_file
from shieldx.engine.topics.admin import TopicAdmin
from shieldx.engine.topics.growth import Growth
from shieldx.engine.topics.partition_count import counts_written
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.declared import Declared
    from shieldx.engine.declarations.manifests import Topic
    from shieldx.keyring.keyring import Keyring
    from shieldx.settings import Settings
    from shieldx.sinks.schema import Schema


class Platform:
    """Agents, topics and a connection, according to the settings."""

    def __init__(
        self,
        settings: Settings,
        *,
        bootstrap: str | None = None,
        partitions: int | None = None,
        brokers: int | None = None,
        postgres: str | None = None,
    ) -> None:
        self.settings = settings
        stack = None if bootstrap or settings.kafka_bootstrap else read_stack_file(settings)
        address = bootstrap or settings.kafka_bootstrap or (stack.bootstrap if stack else None)
        if address is None:
            raise FixConfiguration(
                f"no Kafka cluster is configured: there is no {settings.stack_folder / STACK_FILE}. Run `shieldx up`, "
                "or set SHIELDX_KAFKA_BOOTSTRAP"
            )
        self.bootstrap = address
        self.partitions = partitions or (stack.partitions if stack else settings.partitions)
        self.embedded = settings.kafka_bootstrap is None
        self.brokers = brokers or (stack.brokers if stack else 1)
        """Of the embedded stack."""
        self._embedded_postgres = postgres or (stack.postgres if stack else None)
        self.connection: dict[str, Any] = settings.connection(address)
        self.topic_admin = TopicAdmin(self.connection)

    @cached_property
    def topics(self) -> dict[str, Topic]:
        """Every topic, by name: declared by a manifest or internal to an agent.

        Raises:
            FixConfiguration: a manifest is invalid.
        """
        return self._declared.topics

    @cached_property
    def agents(self) -> dict[str, Agent]:
        """Every agent that a page declares, by name.

        Raises:
            FixConfiguration: a page is invalid.
        """
        return self._declared.agents

    @cached_property
    def _declared(self) -> Declared:
        return declared(self.settings)

    @property
    def replication(self) -> int:
        """Replicas of a new topic."""
        return self.settings.replication or (self.brokers if self.embedded else 3)

    @property
    def postgres_dsn(self) -> str:
        """The address of Postgres, which may contain a password.

        Raises:
            FixConfiguration: none is configured.
        """
        return postgres_dsn(self.settings, self._embedded_postgres)

    @property
    def growth(self) -> Growth:
        """What gives the topics more partitions."""
        return Growth(
            self.connection,
            self.agents.values(),
            self.topics,
            application=self.settings.application,
            transaction_timeout_ms=self.settings.transaction_timeout_ms,
        )

    @property
    def keyring(self) -> Keyring:
        """The keys of the audit log.

        Raises:
            FixConfiguration: none is configured.
            CheckVault: Vault does not respond, which may be temporary.
        """
        return keyring(self.settings)

    @property
    def knows_postgres(self) -> bool:
        """Whether a Postgres is configured."""
        return (self.settings.postgres_dsn or self._embedded_postgres) is not None

    @property
    def schema(self) -> Schema:
        """The schema in Postgres, compared with this program's migrations.

        Raises:
            FixConfiguration: no Postgres is configured.
        """
        return schema_at(self.settings, self.postgres_dsn)

    def agent(self, name: str) -> Agent:
        """The agent with a name.

        Raises:
            FixConfiguration: no page declares it.
        """
        if name not in self.agents:
            raise FixConfiguration(f"unknown agent {name!r}; known agents: {', '.join(self.agents)}")
        return self.agents[name]

    def page_of(self, agent: Agent) -> Path | None:
        """The file that declares an agent; None if no page does."""
        page = self._declared.pages.get(agent.name)
        return None if page is None or page.agent is not agent else page.path

    async def counts_written(self, agents: Iterable[Agent]) -> dict[str, set[int]]:
        """The partition counts that the data of some agents was written with, by name; see `counts_written`.

        Raises:
            FixConfiguration: no broker responds, an ACL is missing, or a record is not a position.
            RestoreTask: the brokers responded, but not to the end.
        """
        asked = [agent for agent in agents if agent.positions is not None]
        actual = await self.topic_admin.describe(str(agent.positions) for agent in asked)
        return await counts_written(self.connection, asked, {name: topic.partitions for name, topic in actual.items()})

    def group(self, agent: Agent) -> str:
        """The consumer group of an agent."""
        return f"{self.settings.application}.{agent.name}"
