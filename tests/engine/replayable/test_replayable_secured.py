"""A replayable agent as its own user, over SASL and TLS, on a broker that denies all but the ACLs that are listed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.broker_security import Security
from shieldx.engine.topics.acls import acls
from tests.engine.echo_agent import Ask
from tests.engine.echo_platform import EchoPlatform, new_platform
from tests.secured.acl_admin import add, remove
from tests.secured.certificates import Authority
from tests.secured.secured_broker import ADMINISTRATOR, SecuredBroker, end_of, ready

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

USER = "shieldx.any"


class Secured(NamedTuple):
    broker: SecuredBroker
    echoing: EchoPlatform
    """As the administrator."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    folder = tmp_path_factory.mktemp("secured-echo")
    authority = Authority(folder)
    passwords = {name: f"{name}-its-password" for name in (ADMINISTRATOR, USER)}
    security = Security("SASL_SSL", authority.sign(ADMINISTRATOR), authority.certificate, ADMINISTRATOR, passwords)
    broker = KafkaBroker(folder, security=security)
    await broker.start()
    try:
        found = SecuredBroker(broker.bootstrap, security)
        (folder / "home").mkdir()
        async with new_platform(found.environment(ADMINISTRATOR), folder / "home") as echoing:
            platform = echoing.platform
            listed = acls(platform.agents.values(), platform.topics, application="shieldx", principal_prefix="")
            found.acls.extend(
                msgspec.structs.replace(acl, principal=USER) for acl in listed if acl.principal == echoing.names.agent
            )
            await add(platform.connection, found.acls)
            yield Secured(found, echoing)
    finally:
        await broker.kill()


def settings_of(secured: Secured) -> dict[str, str]:
    given = secured.echoing.environment.items()
    return {name.removeprefix("SHIELDX_"): value for name, value in given if "KAFKA" not in name}


async def test_it_answers_with_the_acls_that_are_listed_and_no_other(secured: Secured) -> None:
    names = secured.echoing.names
    async with secured.broker.shieldx("worker", names.agent, user=USER, **settings_of(secured)) as worker:
        await ready(worker)
        await secured.echoing.send(Ask(number=1), b"unreadable", Ask(number=2), partition=0)
        await secured.echoing.echoes([1, 2])
        await secured.echoing.until_committed({0: 3})
        worker.terminate()
        assert await worker.wait() == 0


EVERY_ACL = pytest.mark.parametrize(
    ("operation", "resource", "which"),
    [
        ("Read", "topic", "asks"),
        ("Read", "group", "agent"),
        ("Write", "topic", "echoes"),
        ("Write", "topic", "dead-letters"),
    ],
)


@asynccontextmanager
async def without(secured: Secured, operation: str, resource: str, which: str) -> AsyncIterator[str]:
    """One ACL less; gives the name of what may not be used."""
    names = secured.echoing.names._asdict()
    name = f"shieldx.{names['agent']}" if resource == "group" else names.get(which, which)
    (missing,) = [a for a in secured.broker.acls if (a.operation, a.resource, a.name) == (operation, resource, name)]
    administrator = secured.echoing.platform.connection
    await remove(administrator, missing)
    try:
        yield name
    finally:
        await add(administrator, [missing])


async def check_end(worker: Process, name: str) -> None:
    async with asyncio.timeout(60):
        status, said = await end_of(worker)
    assert status == 2, said
    assert f"does not grant user '{USER}'" in said
    assert name in said


@EVERY_ACL
async def test_without_any_one_acl_it_stops_and_says_which(
    secured: Secured, operation: str, resource: str, which: str
) -> None:
    agent = secured.echoing.names.agent
    async with (
        without(secured, operation, resource, which) as name,
        secured.broker.shieldx("worker", agent, user=USER, **settings_of(secured)) as worker,
    ):
        await check_end(worker, name)


@EVERY_ACL
async def test_it_stops_when_an_acl_is_taken_away_while_it_works(
    secured: Secured, operation: str, resource: str, which: str
) -> None:
    agent = secured.echoing.names.agent
    async with secured.broker.shieldx("worker", agent, user=USER, **settings_of(secured)) as worker:
        await ready(worker)
        async with without(secured, operation, resource, which) as name:
            await secured.echoing.send(Ask(number=3), b"unreadable", partition=1)
            await check_end(worker, name)
