"""Secrets in every input of a platform with every agent: what the platform writes has none of them in clear.

Where a producer writes something in clear, its own record keeps it; nobody else can change that.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_records, partitions_of, uncommitted_consumer
from shieldx.domains.credits.messages import Consume, Payment, Purchase
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import AuditAppend, Sealed
from shieldx.sealer import Sealer
from shieldx.settings import load_settings
from tests.cli.cli_stack import PARTITIONS
from tests.databases import query

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.cli.cli_stack import CliStack

pytestmark = pytest.mark.integration

TENANT = "leaky"
SECRETS = {
    "card": "4532-1234-5678-9010",
    "plain card": "4111111111111111",
    "mail address": "ada.lovelace@analytical.example",
    "token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2,
    "ssn": "219-09-9999",
}
ALL = ", ".join(SECRETS.values())
OWN_INPUTS = {"credits.commands", "shadow.commands", "shadow.evaluations", "audit.appends", "privacy.commands"}


def platform_of(place: CliStack) -> Platform:
    names = [name for name in place.environment if name.startswith("SHIELDX_")]
    return Platform(load_settings({name: place.environment[name] for name in names}))


def leaks(found: Iterable[tuple[str, bytes]]) -> set[str]:
    """Which secrets are where."""
    return {
        f"{name} in {where}"
        for where, content in found
        for name, secret in SECRETS.items()
        if secret.encode() in content
    }


async def sealed_messages(platform: Platform) -> dict[str, list[msgspec.Struct]]:
    """What a producer sends that seals, by topic."""

    async def sealed(topic: str, field: str, key: str) -> Sealed:
        return await sealer.seal(
            ALL.encode(), tenant_id=TENANT, subject="user/7", topic=topic, field=field, idempotency_key=key
        )

    async with Sealer(platform.connection, key_encryption(platform.settings)) as sealer:
        reference = await sealed("credits.commands", "payment.reference", "buy")
        payment = Payment(reference=reference, brand="visa", last_four="9010")
        personal = await sealed("credits.commands", "personal", "use")
        payload = msgspec.json.encode(await sealed("audit.appends", "payload", "entry"))
    key: dict[str, Any] = {"tenant_id": TENANT}
    about: dict[str, Any] = {
        "action": "user.login",
        "subject": "order/1",
        "outcome": "ok",
        "at": "2026-12-01T12:00:00Z",
    }
    return {
        "credits.commands": [
            Purchase(**key, idempotency_key="buy", amount=100, payment=payment, description=f"for {ALL}"),
            Consume(**key, idempotency_key="use", amount=1, personal=personal, description=ALL),
        ],
        "audit.appends": [
            AuditAppend(**key, idempotency_key="entry", **about, payload=msgspec.Raw(payload), personal=True)
        ],
    }


def garbage(topic: str) -> bytes:
    """A record that the agent of a topic cannot read."""
    return msgspec.json.encode({"type": topic, "tenant_id": TENANT, "idempotency_key": "garbage", "surplus": ALL})


async def send(platform: Platform) -> None:
    messages = await sealed_messages(platform)
    home = home_partition(TENANT, PARTITIONS)
    async with AIOKafkaProducer(bootstrap_servers=platform.bootstrap) as producer:
        for topic in OWN_INPUTS:
            values = [*map(msgspec.json.encode, messages.get(topic, ())), garbage(topic), ALL.encode()]
            for value in values:
                await producer.send_and_wait(topic, value, key=TENANT.encode(), partition=home)


async def in_topics(platform: Platform) -> list[tuple[str, bytes]]:
    found = []
    async with uncommitted_consumer(platform) as consumer:
        for topic in platform.topics.keys() - OWN_INPUTS:
            async for record in committed_records(consumer, topic, range(await partitions_of(platform, topic))):
                headers = b" ".join(content or b"" for _, content in record.headers)
                found.append((topic, b" ".join((record.key or b"", record.value or b"", headers))))
    return found


async def in_postgres(dsn: str) -> list[tuple[str, bytes]]:
    tables = await query(
        dsn, "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    found = []
    for schema, table in tables:
        rows = await query(dsn, f"SELECT row_to_json(each)::text FROM {schema}.{table} AS each")  # noqa: S608 - of pg_tables
        found += [(f"table {schema}.{table}", row.encode()) for (row,) in rows]
    return found


def on_disk(folder: Path) -> list[tuple[str, bytes]]:
    """Every file of the stack but those of Kafka's own input topics; Postgres's are read as tables."""
    folders = (each for each in (folder / "kafka").rglob("*") if each.is_dir())
    skipped = [each for each in folders if each.name.rpartition("-")[0] in OWN_INPUTS]
    files = [*(folder / "kafka").rglob("*"), *(folder / "state").rglob("*")]
    return [
        (str(file.relative_to(folder)), file.read_bytes())
        for file in files
        if file.is_file() and not any(file.is_relative_to(each) for each in skipped)
    ]


def on_the_command_line(place: CliStack) -> list[tuple[str, bytes]]:
    """What commands print, to people and to programs."""
    letters = place.read("dead-letters", "list")
    calls = [
        ("results", "--tenant", TENANT),
        ("statement", TENANT),
        ("audit", "tail", "--tenant", TENANT),
        ("dead-letters", "list"),
        *(("dead-letters", "show", letter["place"]) for letter in letters),
        ("samples", "show", "1", "--tenant", TENANT),
        ("status",),
    ]
    return [(" ".join(call), (done.stdout + done.stderr).encode()) for call in calls if (done := place.call(*call))]


def test_nothing_of_what_is_secret_is_written_in_clear(place: CliStack, tmp_path: Path) -> None:
    platform = platform_of(place)
    samples = tmp_path / "samples.ndjson"
    request = {"uri": f"/pay?for={ALL}", "headers": [["X-Note", ALL], ["Authorization", f"Bearer {ALL}"]]}
    lines = [
        {"label": label, "category": "text", "source": label, "request": request} for label in ("attack", "benign")
    ]
    samples.write_text("\n".join(json.dumps(line) for line in lines))
    imported = place.call("samples", "import", "--tenant", TENANT, "--ndjson", str(samples))
    assert "masked personal data or secrets in 2 requests" in imported.stderr, imported.stderr
    asyncio.run(send(platform))
    place.until_applied(TENANT)
    place.status_without_lag()

    printed = on_the_command_line(place)
    letters = [json.loads(line) for where, out in printed if where == "dead-letters list" for line in out.splitlines()]
    assert {letter["place"].partition("/")[0] for letter in letters} >= OWN_INPUTS
    with urlopen(f"http://{place.stack['health']}/metrics", timeout=10) as page:
        metrics = page.read()
    found = [
        *asyncio.run(in_topics(platform)),
        *asyncio.run(in_postgres(platform.postgres_dsn)),
        *on_disk(place.folder),
        *printed,
        ("metrics", metrics),
    ]
    assert leaks([("the test itself", ALL.encode())]) == {f"{name} in the test itself" for name in SECRETS}
    assert leaks(found) == set()
    statement = place.call("statement", TENANT, "--json").stdout
    assert "****-****-****-9010" in statement
