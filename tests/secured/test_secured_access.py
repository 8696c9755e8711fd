"""Who is not let in, and what they are told: by the command, as an operator would see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.dev.broker import KafkaBroker
from shieldx.dev.broker_security import Security
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from tests.secured.certificates import Authority
from tests.secured.secured_broker import ADMINISTRATOR, CLIENT, CREDITS, NOBODY, end_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.secured.secured_broker import SecuredBroker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WRONG = "not-the-password"
EVERY_COMMAND = [("worker", "credits"), ("topics", "list"), ("results",), ("send", "/dev/null")]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
async def test_a_wrong_password_is_said_at_once(secured: SecuredBroker, command: tuple[str, ...]) -> None:
    async with secured.shieldx(*command, user=CREDITS, KAFKA_PASSWORD=WRONG) as process:
        status, said = await end_of(process)
    assert status == 2
    assert f"rejects the login of user '{CREDITS}'" in said
    assert "Check SHIELDX_KAFKA_USERNAME, SHIELDX_KAFKA_PASSWORD" in said
    assert WRONG not in said


async def test_an_unknown_authority_is_said_at_once(secured: SecuredBroker, tmp_path: Path) -> None:
    other = str(Authority(tmp_path).certificate)
    async with secured.shieldx("worker", "credits", KAFKA_CA_FILE=other) as process:
        status, said = await end_of(process)
    assert status == 2
    assert "presents an untrusted certificate" in said
    assert "Set SHIELDX_KAFKA_CA_FILE" in said


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"KAFKA_SECURITY": "PLAINTEXT"}, "check SHIELDX_KAFKA_SECURITY"),
        ({"KAFKA_SECURITY": "SSL"}, "check SHIELDX_KAFKA_SECURITY and SHIELDX_KAFKA_CERTIFICATE_FILE"),
        ({"KAFKA_SASL_MECHANISM": "PLAIN"}, "Set SHIELDX_KAFKA_SASL_MECHANISM to one of them"),
        ({"KAFKA_SECURITY": "SASL_PLAINTEXT"}, "check SHIELDX_KAFKA_SECURITY"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
async def test_another_protocol_is_said(secured: SecuredBroker, changed: dict[str, str], advice: str) -> None:
    async with secured.shieldx("topics", "list", user=CLIENT, **changed) as process:
        status, said = await end_of(process)
    assert status == 2
    assert advice in said


async def test_a_user_without_acls_is_told_of_them(secured: SecuredBroker) -> None:
    async with secured.shieldx("worker", "credits", user=NOBODY) as process:
        status, said = await end_of(process)
    assert status == 2
    assert f"does not grant user '{NOBODY}'" in said
    assert "`shieldx topics acls`" in said


async def test_an_administrator_finds_no_difference(secured: SecuredBroker) -> None:
    async with secured.shieldx("topics", "diff", user=ADMINISTRATOR) as process:
        assert (await end_of(process))[0] == 0


async def test_a_certificate_is_a_user_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = authority.sign(ADMINISTRATOR)
    security = Security("SSL", certificate, authority.certificate, ADMINISTRATOR, {})
    broker = KafkaBroker(tmp_path, security=security)
    await broker.start()
    environment = {
        "SHIELDX_KAFKA_BOOTSTRAP": broker.bootstrap,
        "SHIELDX_KAFKA_SECURITY": "SSL",
        "SHIELDX_KAFKA_CA_FILE": str(authority.certificate),
    }
    try:
        for file in (certificate, authority.sign("somebody")):
            both = {"SHIELDX_KAFKA_CERTIFICATE_FILE": str(file), "SHIELDX_KAFKA_KEY_FILE": str(file)}
            platform = Platform(load_settings(environment | both))
            if file == certificate:
                created = await platform.topic_admin.create(platform.topics, partitions=1, replication=1)
                assert sorted(created) == sorted(platform.topics)
            else:
                with pytest.raises(FixConfiguration, match="does not grant this user"):
                    await platform.topic_admin.describe(platform.topics)
        with pytest.raises(FixConfiguration, match="SHIELDX_KAFKA_CERTIFICATE_FILE"):
            await Platform(load_settings(environment)).topic_admin.describe(["any"])
    finally:
        await broker.kill()


async def test_passwords_are_asked_for_without_tls_as_well(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    users = {ADMINISTRATOR: "secret"}
    security = Security("SASL_PLAINTEXT", authority.sign(ADMINISTRATOR), authority.certificate, ADMINISTRATOR, users)
    broker = KafkaBroker(tmp_path, security=security)
    await broker.start()
    environment = {
        "SHIELDX_KAFKA_BOOTSTRAP": broker.bootstrap,
        "SHIELDX_KAFKA_SECURITY": "SASL_PLAINTEXT",
        "SHIELDX_KAFKA_USERNAME": ADMINISTRATOR,
    }
    try:
        right = Platform(load_settings(environment | {"SHIELDX_KAFKA_PASSWORD": "secret"}))
        assert await right.topic_admin.describe(right.topics) == {}
        with pytest.raises(FixConfiguration, match="rejects the login of user 'administrator'"):
            await Platform(load_settings(environment | {"SHIELDX_KAFKA_PASSWORD": "x"})).topic_admin.describe(["any"])
    finally:
        await broker.kill()
