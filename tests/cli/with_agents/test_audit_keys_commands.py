"""`shieldx audit keys`, `append` and `rotate`, the last two on a stack with an audit agent."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.keyring.file import add_key, new_keyring, read_keyring
from shieldx.messages import Sealed
from shieldx.sealer import Sealer
from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from tests.cli.cli_stack import CliStack

APPEND = ("audit", "append", "--tenant", "acme", "--action", "user.login", "--subject", "user/7")
AT = ("--at", "2026-11-22T13:07:11Z")
ADA = '{"name": "Ada"}'


def test_a_keyring_is_made_once_and_added_to(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    made = shieldx("audit", "keys", "new", str(path), "--id", "2026-11")
    assert (made.exit_code, made.stdout) == (0, "2026-11\n")
    again = shieldx("audit", "keys", "new", str(path))
    assert again.exit_code == 2
    assert "ring.json already exists" in again.stderr
    added = shieldx("audit", "keys", "add", str(path), "--id", "2026-12")
    assert added.exit_code == 0
    assert "added key '2026-12'" in added.stderr
    ring = read_keyring(path)
    assert (ring.first, list(ring)) == ("2026-11", ["2026-11", "2026-12"])
    said = made.output + again.output + added.output
    assert not [secret for secret in json.loads(path.read_text())["keys"].values() if secret in said]


@pytest.mark.parametrize(
    "given",
    [
        {"AUDIT_KEYRING": '{"first":"k","keys":{"k":"hunter2"}}'},
        {"PRIVACY_KEYRING": '{"first":"k","keys":{"k":"hunter2"}}'},
        {"PLATFORM_KEYRING": '{"first":"k","keys":{"k":"hunter2"}}'},
        {"VAULT_ADDRESS": "https://vault:8200", "AUDIT_VAULT_PATH": "shieldx/audit", "VAULT_TOKEN": "hunter2"},
    ],
)
def test_secrets_are_masked(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"SHIELDX_{name}", value)
    for arguments in (["config"], ["config", "--json"]):
        shown = shieldx(*arguments)
        assert shown.exit_code == 0
        assert "********" in shown.stdout
        assert "hunter2" not in shown.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--payload", "Ada"), "not a JSON value"),
        (("--payload", ADA, "--personal"), "a personal payload must be sealed"),
        (("--payload", ADA, "--seal-for", "ada"), "add --personal"),
        (("--personal",), "require a payload"),
        (("--payload", ADA, "--personal", "--seal-for", "ada"), "set SHIELDX_PRIVACY_KEYRING_FILE, "),
        (("--payload", ADA, "--payload-file", "-"), "not both"),
        (("--at", "noon"), "is not a time such as"),
        (("--tenant", ""), "invalid append: Expected `str` of length >= 1"),
    ],
)
def test_an_append_that_could_not_be_chained_or_kept_secret_is_not_sent(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], says: str
) -> None:
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")  # nothing listens there
    refused = shieldx(*APPEND, *options)
    assert refused.exit_code == 2
    assert says in refused.stderr
    assert "Ada" not in refused.stderr


def test_a_rotation_to_a_key_that_this_keyring_lacks_is_not_sent(
    shieldx: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new_keyring(tmp_path / "ring.json", "k1")
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("SHIELDX_AUDIT_KEYRING_FILE", str(tmp_path / "ring.json"))
    refused = shieldx("audit", "rotate", "k2")
    assert refused.exit_code == 2
    assert "key 'k2' is not in the keyring, which has k1" in refused.stderr


def appended(place: CliStack, *options: str) -> dict[str, Any]:
    (entry,) = place.read(*APPEND, *options)
    return entry


@pytest.mark.integration
def test_an_append_prints_its_entry_and_a_repeat_says_that_there_is_none(place: CliStack) -> None:
    repeatable = ("--key", "once", *AT, "--payload", '{"n": 1.50}')
    entry = appended(place, *repeatable, "--actor", "alice")
    assert (entry["tenant_id"], entry["actor"], entry["action"]) == ("acme", "alice", "user.login")
    assert (entry["outcome"], entry["occurred_at"]) == ("ok", "2026-11-22T13:07:11.000Z")
    assert entry["payload"] == '{"n": 1.50}'
    again = place.call(*APPEND, *repeatable, "--actor", "alice")
    assert (again.returncode, again.stdout) == (0, "")
    assert "the same append, key once, was already chained within the last 24" in again.stderr
    other = place.call(*APPEND, *repeatable, "--actor", "mallory")
    assert (other.returncode, other.stdout) == (1, "")
    assert "the append was dead-lettered: idempotency_conflict" in other.stderr
    assert appended(place)["sequence"] == entry["sequence"] + 1


@pytest.mark.integration
def test_a_personal_payload_is_sealed_before_it_is_sent(place: CliStack, tmp_path: Path) -> None:
    (tmp_path / "ada.json").write_text(ADA)
    sealing = ("--personal", "--seal-for", "ada@example.com", "--payload-file", str(tmp_path / "ada.json"))
    entry = appended(place, "--key", "p1", *sealing)
    assert "Ada" not in str(entry)
    assert "ada@" not in str(entry)
    sealed = msgspec.json.decode(entry["payload"], type=Sealed)
    keys = key_encryption(Settings(stack_folder=place.folder))

    async def opened() -> bytes:
        async with Sealer({"bootstrap_servers": place.stack["bootstrap"]}, keys) as sealer:
            return await sealer.open(
                sealed, tenant_id="acme", topic="audit.appends", field="payload", idempotency_key="p1"
            )

    assert asyncio.run(opened()) == ADA.encode()


@pytest.mark.integration
def test_a_rotation_is_chained_in_every_shard_and_the_new_key_signs(place: CliStack) -> None:
    before = appended(place)
    shards = place.read("audit", "rotate", "k2", "--actor", "olga", "--json")
    assert [shard["shard"] for shard in shards] == [0, 1]
    assert {shard["reason"] for shard in shards} == {None}
    after = appended(place)
    assert shards[before["shard"]]["sequence"] == before["sequence"] + 1 == after["sequence"] - 1
    assert (before["key_id"], after["key_id"]) == ("k1", "k2")


@pytest.mark.integration
def test_a_rotation_that_the_workers_refuse_is_told_for_every_shard(place: CliStack, ring: Path) -> None:
    add_key(ring, "k3")  # the agent has read its keyring before
    refused = place.call("audit", "rotate", "k3", "--json")
    assert refused.returncode == 1
    shards = [json.loads(line) for line in refused.stdout.splitlines()]
    assert [(shard["shard"], shard["sequence"]) for shard in shards] == [(0, None), (1, None)]
    assert all(shard["reason"].startswith("unknown_key: key 'k3' is not in this worker's") for shard in shards)
