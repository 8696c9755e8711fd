from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.broker_security import Security
from shieldx.engine.topics.acls import acls
from tests.secured.acl_admin import add
from tests.secured.certificates import Authority
from tests.secured.secured_broker import ADMINISTRATOR, CLIENT, CREDITS, NOBODY, STATEMENTS, SecuredBroker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SecuredBroker]:
    """A broker that speaks SASL_SSL and denies by default, with the platform's topics and the ACLs of its users."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    passwords = {name: f'"{name}\\ its password' for name in (ADMINISTRATOR, CREDITS, STATEMENTS, CLIENT, NOBODY)}
    security = Security("SASL_SSL", authority.sign(ADMINISTRATOR), authority.certificate, ADMINISTRATOR, passwords)
    broker = KafkaBroker(folder, security=security)
    await broker.start()
    try:
        found = SecuredBroker(broker.bootstrap, security)
        platform = found.platform(ADMINISTRATOR)
        await platform.topic_admin.create(platform.topics, partitions=platform.partitions, replication=1)
        agents = platform.agents.values()
        wanted = acls(agents, platform.topics, application="shieldx", principal_prefix="shieldx.")
        await add(platform.connection, wanted)
        found.acls.extend(wanted)
        yield found
    finally:
        await broker.kill()
