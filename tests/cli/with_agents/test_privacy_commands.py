"""`shieldx privacy` on a stack with every agent: what was sealed for a person is exported, and erased for good."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.platform import Platform
from shieldx.cli.rows import rows_of
from shieldx.client import Client
from shieldx.domains.credits.messages import Batch, Consume, Payment, Purchase
from shieldx.domains.privacy.tables import SubjectKeys
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.keyring.file import add_key
from shieldx.messages import AuditAppend
from shieldx.sealer import Sealer
from shieldx.settings import load_settings
from tests.cli.cli_stack import PARTITIONS
from tests.databases import MIGRATIONS, query
from tests.polling import until_answered, until_true

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shieldx.messages import Sealed
    from tests.cli.cli_stack import CliStack

pytestmark = pytest.mark.integration

SECRET = b'{"reference":"pm-4f1e","name":"Ada Lovelace"}'


class Producer:
    """Seals for a person and sends, as a producer of a tenant does."""

    def __init__(self, platform: Platform, sealer: Sealer, client: Client, tenant_id: str) -> None:
        self._platform = platform
        self._sealer = sealer
        self._client = client
        self._tenant_id = tenant_id

    async def sealed(self, topic: str, field: str, key: str, subject: str) -> Sealed:
        return await self._sealer.seal(
            SECRET, tenant_id=self._tenant_id, subject=subject, topic=topic, field=field, idempotency_key=key
        )

    async def buy(self, key: str, subject: str) -> None:
        reference = await self.sealed("credits.commands", "payment.reference", key, subject)
        payment = Payment(reference=reference, brand="visa", last_four="9010")
        purchase = Purchase(tenant_id=self._tenant_id, idempotency_key=key, amount=10, payment=payment)
        assert (await self._client.send(purchase)).code == "ok"

    async def use(self, key: str, subject: str) -> None:
        """Spends in a batch, beyond what is there."""
        personal = await self.sealed("credits.commands", "personal", f"{key}/0", subject)
        consume = Consume(tenant_id=self._tenant_id, idempotency_key=f"{key}/0", amount=10_000, personal=personal)
        batch = Batch(tenant_id=self._tenant_id, idempotency_key=key, commands=[consume], atomic=False)
        result = await self._client.send(batch)
        assert isinstance(result.results, list)
        assert result.results[0].code == "insufficient_funds"


def settings_of(place: CliStack) -> Any:
    return load_settings({name: value for name, value in place.environment.items() if name.startswith("SHIELDX_")})


async def produced(place: CliStack, tenant_id: str, *subjects: str) -> None:
    """What each subject causes, a purchase and a refused consume; and an entry about the first one."""
    settings = settings_of(place)
    platform = Platform(settings)
    keks = key_encryption(settings)
    async with Client(platform.connection) as client, Sealer(platform.connection, keks) as sealer:
        producer = Producer(platform, sealer, client, tenant_id)
        for subject in subjects:
            await producer.buy(f"buy {subject}", subject)
            await producer.use(f"use {subject}", subject)
        sealed = await producer.sealed("audit.appends", "payload", f"entry {subjects[0]}", subjects[0])
    append = place.call(
        *(
            "audit",
            "append",
            "--tenant",
            tenant_id,
            "--key",
            f"entry {subjects[0]}",
            "--action",
            "user.login",
            "--subject",
            "order/1",
        ),
        *("--personal", "--payload-file", "-"),
        given=msgspec.json.encode(sealed).decode(),
    )
    assert append.returncode == 0, append.stderr


def export(place: CliStack, tenant_id: str, subject: str) -> dict[str, list[dict[str, Any]]]:
    lines = place.read("privacy", "export", subject, "--tenant", tenant_id)
    assert (lines[0]["format"], lines[0]["tenant_id"]) == ("shieldx.subject-export/1", tenant_id)
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in lines[1:]:
        kinds.setdefault(line["kind"], []).append(line)
    return kinds


async def until_kept(place: CliStack, tenant_id: str, rows: int) -> None:
    """Return once Postgres has so many rows of sealed data of a tenant."""
    dsn = Platform(settings_of(place)).postgres_dsn
    statement = "SELECT count(*) FROM credits.personal_data WHERE tenant_id = $1"

    await until_answered(lambda: query(dsn, statement, tenant_id), [(rows,)])


def test_a_person_is_exported_and_erased_and_another_one_stays(place: CliStack) -> None:
    asyncio.run(produced(place, "erasing", "user/7", "user/8"))
    place.until_applied("erasing")
    found = export(place, "erasing", "user/7")
    secret = json.loads(SECRET)
    assert [each["payment"] for each in found["movement"]] == [
        {"reference": secret, "brand": "visa", "last_four": "9010"}
    ]
    assert [each.get("personal") for each in found["command"]] == [None, secret]
    assert [(each["action"], each["payload"]) for each in found["entry"]] == [("user.login", secret)]
    assert len(found["data_key"]) == 1
    asked = place.call("privacy", "request", "user/7", "--tenant", "erasing", "--kind", "erasure", "--id", "r1")
    assert asked.returncode == 0, asked.stderr

    (foreseen,) = place.read("privacy", "erase", "user/7", "--tenant", "erasing", "--dry-run")
    (erased,) = place.read("privacy", "erase", "user/7", "--tenant", "erasing", "--actor", "dpo")
    assert (foreseen["dry_run"], erased["dry_run"]) == (True, False)
    assert foreseen["keys"] == erased["keys"] == [found["data_key"][0]["key"]]
    assert foreseen["requests"] == erased["requests"] == ["r1"]
    assert {left["where"]: left["what"] for left in erased["remains"]}["privacy.keys"] == "wrapped data keys"

    gone = {"erased": True}
    found = export(place, "erasing", "user/7")
    assert {json.dumps(each["payment"]["reference"]) for each in found["command"] if "payment" in each} == {
        json.dumps(gone)
    }
    assert [each["payload"] for each in found["entry"] if each["action"] == "user.login"] == [gone]
    assert {each["action"] for each in found["entry"]} == {"user.login", "privacy.open_request", "privacy.erase"}
    assert "data_key" not in found
    other = export(place, "erasing", "user/8")
    assert [each["payment"]["reference"] for each in other["movement"]] == [secret]
    asyncio.run(until_kept(place, "erasing", 1))
    (again,) = place.read("privacy", "erase", "user/7", "--tenant", "erasing")
    assert again["code"] == "nothing_to_erase"


async def close_segments(place: CliStack, topic: str) -> None:
    """Have the broker do within seconds what it does within a day."""
    admin = AIOKafkaAdminClient(bootstrap_servers=place.stack["bootstrap"])
    await admin.start()
    try:
        soon = {"segment.ms": "50", "max.compaction.lag.ms": "100", "file.delete.delay.ms": "100"}
        soon = load_manifests(MIGRATIONS.parent / "topics")[topic].config() | soon  # all that is not named is reset
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=soon)])
    finally:
        await admin.close()


def files_with(folder: Path, names: str, texts: Collection[str]) -> set[str]:
    """The files that contain one of some texts, below folders of a name."""
    files = (path for each in folder.rglob(names) for path in each.rglob("*") if path.is_file())
    return {path.name for path in files if any(text.encode() in path.read_bytes() for text in texts)}


def test_an_erased_key_leaves_the_disks_of_brokers_and_workers(place: CliStack) -> None:
    asyncio.run(produced(place, "leaving", "user/7"))
    rows = asyncio.run(rows_of(Platform(settings_of(place)), "privacy.keys", "leaving", SubjectKeys))
    wrapped = [b64encode(key.wrapped).decode() for row in rows for key in row.keys]
    assert files_with(place.folder, "privacy.keys-*", wrapped)
    assert place.call("privacy", "erase", "user/7", "--tenant", "leaving").returncode == 0
    asyncio.run(close_segments(place, "privacy.keys"))
    asyncio.run(produced(place, "leaving", "user/8"))
    until_true(lambda: not files_with(place.folder, "privacy.keys-*", wrapped), timeout_s=60)
    until_true(lambda: not files_with(place.folder, "state", wrapped))


def test_a_value_that_was_sealed_for_another_place_does_not_keep_a_person_from_the_rest(place: CliStack) -> None:
    async def sealed_elsewhere() -> Sealed:
        settings = settings_of(place)
        async with Sealer(Platform(settings).connection, key_encryption(settings)) as sealer:
            return await sealer.seal(
                SECRET,
                tenant_id="moved",
                subject="user/7",
                topic="credits.commands",
                field="payment.reference",
                idempotency_key="k",
            )

    personal = asyncio.run(sealed_elsewhere())
    consume = Consume(tenant_id="moved", idempotency_key="k", amount=1, personal=personal)
    assert place.call("send", "-", given=msgspec.json.encode(consume).decode()).returncode == 0
    exported = export(place, "moved", "user/7")
    assert [each["personal"] for each in exported["command"]] == [{"distrusted": True}]


def test_requests_are_listed_until_they_are_answered_and_overdue_ones_end_with_1(place: CliStack) -> None:
    options = ("--tenant", "asking", "--kind", "access")
    late = ("--id", "late", "--received", "2026-01-01")
    assert place.call("privacy", "request", "user/7", *options, *late).returncode == 0
    assert place.call("privacy", "request", "user/7", *options, "--id", "new").returncode == 0
    listed = place.call("privacy", "requests", "--tenant", "asking")
    assert (listed.returncode, listed.stderr) == (1, "1 request overdue: answer them now\n")
    assert [json.loads(line)["request_id"] for line in listed.stdout.splitlines()] == ["late", "new"]
    assert place.call("privacy", "answer", "late", "--tenant", "asking", "--note", "sent").returncode == 0
    assert [row["request_id"] for row in place.read("privacy", "requests", "--tenant", "asking")] == ["new"]
    again = place.call("privacy", "answer", "late", "--tenant", "asking")
    assert again.returncode == 1
    assert "request_answered: it was answered at" in again.stderr


def test_keys_are_wrapped_again_and_the_former_key_encryption_key_is_not_needed_any_more(
    place: CliStack, tmp_path: Path
) -> None:
    asyncio.run(produced(place, "rotating", "user/7"))
    before = json.loads((place.folder / "privacy-keyring.json").read_text())
    ring = tmp_path / "ring.json"
    ring.write_text(json.dumps(before))
    ring.chmod(0o600)
    add_key(ring, "next")
    rotated = json.loads(ring.read_text()) | {"first": "next"}
    ring.write_text(json.dumps(rotated))
    with_next = place.with_settings(SHIELDX_PRIVACY_KEYRING_FILE=str(ring))
    done = with_next.call("privacy", "rewrap")
    assert done.returncode == 0, done.stderr
    del rotated["keys"][before["first"]]
    ring.write_text(json.dumps(rotated))
    assert export(with_next, "rotating", "user/7")["movement"][0]["payment"]["reference"] == json.loads(SECRET)
    former = place.call("privacy", "export", "user/7", "--tenant", "rotating")
    assert former.returncode != 0
    assert "wrapped by 'next', which is not in the privacy keyring" in former.stderr


def test_after_a_restore_the_audit_log_erases_again(place: CliStack) -> None:
    """What a backup older than an erasure leads to: an entry of which the tables know nothing."""
    asyncio.run(produced(place, "restored", "user/7"))
    (key,) = export(place, "restored", "user/7")["data_key"]
    (foreseen,) = place.read("privacy", "erase", "user/7", "--tenant", "restored", "--dry-run")
    entry = AuditAppend(
        tenant_id="restored",
        idempotency_key="privacy.commands/0/0",
        actor="dpo",
        action="privacy.erase",
        subject=f"subject/{foreseen['subject']}",
        outcome="ok",
        at="2026-12-01T12:00:00Z",
        payload=msgspec.Raw(msgspec.json.encode({"keys": [key["key"]], "requests": []})),
    )
    asyncio.run(decide(place, entry))
    assert len(place.read("audit", "tail", "--tenant", "restored", "--action", "privacy.erase")) == 1
    done = place.call("privacy", "replay-erasures")
    assert done.stdout == "erased 1 subject again\n", done.stderr
    assert "data_key" not in export(place, "restored", "user/7")
    assert place.call("privacy", "replay-erasures").stdout == "erased 0 subjects again\n"


async def decide(place: CliStack, append: AuditAppend) -> None:
    """Append as an agent does, and return once the audit agent has chained it."""
    async with AIOKafkaProducer(bootstrap_servers=place.stack["bootstrap"]) as producer:
        home, key = home_partition(append.tenant_id, PARTITIONS), append.tenant_id.encode()
        headers = [("schema", b"audit.append/1")]
        value = msgspec.json.encode(append)
        await producer.send_and_wait("audit.decisions", value, key=key, partition=home, headers=headers)

    async def chained() -> bool:
        return bool(place.read("audit", "tail", "--tenant", append.tenant_id, "--action", append.action))

    await until_answered(chained, wanted=True)
