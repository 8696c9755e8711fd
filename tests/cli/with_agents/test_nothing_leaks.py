"""Secrets in every input of a platform with every agent: what the platform writes has none of them in clear.

Where a producer writes something in clear, its own record keeps it; nobody else can change that.
"""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_records, partitions_of, uncommitted_consumer
from shieldx.domains.audit.entry import AuditEntry, is_genuine
from shieldx.domains.credits.messages import Consume, Payment, Purchase
from shieldx.domains.shadow.messages import Evaluate, PutRule
from shieldx.domains.shadow.rule import Signature
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import AuditAppend, Sealed
from shieldx.sealer import Sealer
from shieldx.settings import load_settings
from tests.cli.cli_stack import PARTITIONS, TIMEOUT_S
from tests.databases import query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.cli.cli_stack import CliStack

pytestmark = pytest.mark.integration

TENANT = "leaky"
POLL_S = 0.05
SECRETS = {
    "card": "4532-1234-5678-9010",
    "plain card": "4111111111111111",
    "mail address": "ada.lovelace@analytical.example",
    "token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2,
    "ssn": "219-09-9999",
}
ALL = ", ".join(SECRETS.values())
OPEN_APPEND = {
    "appended card": "5105-1051-0510-5100",
    "appended mail address": "grace.hopper@navy.example",
    "appended token": "ghp_" + "j9I8h7G6f5E4d3C2b1A0" * 2,
}
"""What a client appended in clear. The audit log keeps it, since nothing may change its chain; so does its mirror."""
CARRIED = {"mail address in a correlation id": "mary.somerville@sphere.example"}
"""A correlation id goes with every answer, by design; but not into logs, and not to a terminal."""
OWN_INPUTS = {
    "audit.appends",
    "credits.commands",
    "privacy.commands",
    "privacy.key-requests",
    "shadow.commands",
    "shadow.evaluations",
}
LOGGED_AGENTS = ("audit", "credits", "privacy", "shadow")


def platform_of(place: CliStack) -> Platform:
    names = [name for name in place.environment if name.startswith("SHIELDX_")]
    return Platform(load_settings({name: place.environment[name] for name in names}))


def leaks(found: Iterable[tuple[str, bytes]], secrets: Mapping[str, str]) -> set[str]:
    """Which secrets are where."""
    return {
        f"{name} in {where}"
        for where, content in found
        for name, secret in secrets.items()
        if secret.encode() in content
    }


def is_audit_log(where: str) -> bool:
    """Whether a place is the log itself, as a topic, a file of the topic or a table of the mirror."""
    return "audit.log" in where or where.startswith("table audit.entries")


async def good_messages(platform: Platform) -> dict[str, list[msgspec.Struct]]:
    """What a producer sends by topic: personal data sealed, and all the same in every text."""

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
    in_clear = AuditAppend(
        **key,
        idempotency_key="open entry",
        **about | {"subject": OPEN_APPEND["appended mail address"]},
        actor=", ".join(OPEN_APPEND.values()),
        payload=msgspec.Raw(msgspec.json.encode(list(OPEN_APPEND.values()))),
    )
    rule = Signature(pattern="x")
    return {
        "credits.commands": [
            Purchase(**key, idempotency_key="buy", amount=100, payment=payment, description=f"for {ALL}"),
            Consume(**key, idempotency_key="use", amount=1, personal=personal, description=ALL),
        ],
        "audit.appends": [
            AuditAppend(**key, idempotency_key="entry", **about, payload=msgspec.Raw(payload), personal=True),
            in_clear,
        ],
        "shadow.commands": [PutRule(**key, rule_id="r", config=rule, name=ALL, note=ALL)],
        "shadow.evaluations": [
            Evaluate(**key, rule_id="r", rule_name=ALL, eval_id="sent"),
            Evaluate(**key, rule_id="r", rule_name=ALL, eval_id="refused", rule_config=rule, rule_version=1),
        ],
    }


def garbage(topic: str) -> bytes:
    """A record that the agent of a topic cannot read."""
    return msgspec.json.encode({"type": topic, "tenant_id": TENANT, "idempotency_key": "garbage", "surplus": ALL})


async def send(platform: Platform) -> None:
    messages = await good_messages(platform)
    home = home_partition(TENANT, PARTITIONS)
    headers = [("x-note", ALL.encode()), ("correlation-id", ", ".join(CARRIED.values()).encode())]
    async with AIOKafkaProducer(bootstrap_servers=platform.bootstrap) as producer:
        for topic in sorted(OWN_INPUTS):
            for value in map(msgspec.json.encode, messages.get(topic, ())):
                await producer.send_and_wait(topic, value, key=TENANT.encode(), partition=home, headers=headers)
            for value in (garbage(topic), ALL.encode()):
                for number in range(PARTITIONS):  # one of them is the worker's
                    await producer.send_and_wait(topic, value, key=TENANT.encode(), partition=number, headers=headers)


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
    """Every file of the stack, with servers' logs, but those of input topics; Postgres's data are read as tables."""
    folders = (each for each in (folder / "kafka").rglob("*") if each.is_dir())
    skipped = [each for each in folders if each.name.rpartition("-")[0] in OWN_INPUTS]
    files = [file for each in ("kafka", "state", "postgres/log") for file in (folder / each).rglob("*")]
    return [
        (str(file.relative_to(folder)), file.read_bytes())
        for file in files
        if file.is_file() and not any(file.is_relative_to(each) for each in skipped)
    ]


def on_the_command_line(place: CliStack) -> dict[str, str]:
    """What commands print, by command."""
    printed: dict[str, str] = {}

    def call(*arguments: str) -> list[dict[str, Any]]:
        done = place.call(*arguments)
        assert done.stdout, (arguments, done.stderr)
        printed[" ".join(arguments)] = done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    of_tenant = ("--tenant", TENANT)
    entry = the_open_one(call("audit", "tail", *of_tenant))
    for source in ("kafka", "postgres"):
        call("audit", "show", f"{entry['shard']}/{entry['sequence']}", "--from", source)
    call("audit", "search", *of_tenant)
    letters = {letter["place"].partition("/")[0]: letter["place"] for letter in call("dead-letters", "list")}
    assert letters.keys() >= OWN_INPUTS
    call("dead-letters", "show", letters["credits.commands"])
    for command in (
        ("results",),
        ("rule", "list"),
        ("rule", "show", "r"),
        ("samples", "show", "default", "--index", "0"),
    ):
        call(*command, *of_tenant)
    call("statement", TENANT)
    call("statement", TENANT, "--json")
    call("status")
    return printed


def the_open_one(entries: list[dict[str, Any]]) -> dict[str, Any]:
    (entry,) = (each for each in entries if each["idempotency_key"] == "open entry")
    return entry


@contextmanager
def worker_logging_to(log: Path, place: CliStack) -> Iterator[None]:
    """A worker next to those of `up`, which log only warnings. It has one of the two partitions of each agent."""
    with log.open("w") as file:
        worker = place.start("worker", *LOGGED_AGENTS, stderr=file)
    try:
        deadline_s = monotonic() + TIMEOUT_S
        while '"message":"ready"' not in log.read_text().replace(" ", ""):
            assert (worker.poll(), monotonic() < deadline_s) == (None, True), log.read_text()
            sleep(POLL_S)
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=TIMEOUT_S)


def import_samples(place: CliStack, file: Path) -> None:
    request = {"uri": f"/pay?for={ALL}", "headers": [["X-Note", ALL], ["Authorization", f"Bearer {ALL}"]]}
    lines = [
        {"label": label, "category": "text", "source": label, "request": request} for label in ("attack", "benign")
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    imported = place.call("samples", "import", "--tenant", TENANT, "--ndjson", str(file))
    assert "masked personal data or secrets in 2 requests" in imported.stderr, imported.stderr


def test_nothing_of_what_is_secret_is_written_in_clear(place: CliStack, tmp_path: Path) -> None:
    platform, log = platform_of(place), tmp_path / "worker.log"
    import_samples(place, tmp_path / "samples.ndjson")
    with worker_logging_to(log, place):
        asyncio.run(send(platform))
        place.until_applied(TENANT)
        place.status_without_lag()

    printed = on_the_command_line(place)
    with urlopen(f"http://{place.stack['health']}/metrics", timeout=10) as page:
        metrics = page.read()
    told = [(command, text.encode()) for command, text in printed.items()]
    told += [("metrics", metrics), ("log of up", place.log.read_bytes()), ("log of a worker", log.read_bytes())]
    kept = [*asyncio.run(in_topics(platform)), *asyncio.run(in_postgres(platform.postgres_dsn)), *on_disk(place.folder)]
    assert leaks([*told, *kept], SECRETS) == set()
    assert leaks([*told, *(each for each in kept if not is_audit_log(each[0]))], OPEN_APPEND) == set()
    assert leaks(told, CARRIED) == set()

    # There was something to leak, and these places were looked at.
    masked = {"masked": "****-****-****-9010"}
    assert {name for name, _ in kept} >= {"audit.log", "table audit.entries", "postgres/log/server.log"}
    where = {name.removeprefix("masked in ") for name in leaks([*told, *kept], masked)}
    assert where >= {"dead-letters", "shadow.rules", "shadow.reports", "table credits.transactions"}
    assert where >= {f"rule show r --tenant {TENANT}", f"statement {TENANT}", f"statement {TENANT} --json"}
    assert "ma***@sphere.example" in log.read_text()
    assert "set aside as a dead letter" in log.read_text()
    as_it_is = the_open_one(place.read("audit", "tail", "--tenant", TENANT, "--unmasked"))
    assert json.loads(as_it_is["payload"]) == list(OPEN_APPEND.values())
    assert is_genuine(msgspec.convert(as_it_is, AuditEntry), platform.keyring)
