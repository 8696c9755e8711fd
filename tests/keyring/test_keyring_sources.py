"""A keyring comes from exactly one source, which the settings name."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shieldx.bootstrap.keyring_source import AUDIT, PLATFORM, PRIVACY, KeyringName, keyring, knows_keyring
from shieldx.bootstrap.worker_environment import worker_environment
from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.keyring import vault_client
from shieldx.keyring.file import new_keyring
from shieldx.keyring.vault_client import CheckVault, CheckVaultAddress, CheckVaultPath, RenewVaultToken
from shieldx.settings import Settings, load_settings
from tests import programs
from tests.keyring.kv_server import TOKEN, KvServer, running_kv_server

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b64encode(b"s" * 32).decode()
RING = {"first": "k1", "keys": {"k1": SECRET}}
WRONG_TOKEN = "hvs.wrong"  # noqa: S105 - refused by the server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KvServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_kv_server() as server:
        server.secrets["secret/data/shieldx/audit"] = RING
        yield server


def at(server: KvServer, **changed: str) -> Settings:
    path = changed.pop("path", "shieldx/audit")
    given = {"address": server.address, "token": TOKEN} | changed
    return load_settings(
        {"SHIELDX_KAFKA_BOOTSTRAP": "k:9092", "SHIELDX_AUDIT_VAULT_PATH": path}
        | {f"SHIELDX_VAULT_{name.upper()}": value for name, value in given.items()}
    )


def test_the_same_json_in_the_environment() -> None:
    ring = keyring(load_settings({"SHIELDX_AUDIT_KEYRING": json.dumps(RING)}))
    assert (ring.first, dict(ring)) == ("k1", {"k1": b"s" * 32})


@pytest.mark.parametrize("text", ["rubbish", '{"first":"k1","keys":{"k1":"c2hvcnQ="}}', '{"first":"\udcff"}'])
def test_rubbish_in_the_environment_is_named_by_its_variable_and_never_shown(text: str) -> None:
    with pytest.raises(FixConfiguration, match=r"^SHIELDX_AUDIT_KEYRING(:| is not a keyring)") as refused:
        keyring(load_settings({"SHIELDX_AUDIT_KEYRING": text}))
    assert "rubbish" not in str(refused.value)
    assert "c2hvcnQ" not in str(refused.value)


def test_a_keyring_in_vault(server: KvServer) -> None:
    ring = keyring(at(server))
    assert (ring.first, dict(ring)) == ("k1", {"k1": b"s" * 32})
    assert server.asked == ["/v1/secret/data/shieldx/audit"]


def test_the_platform_s_keyring_in_vault_has_a_path_of_its_own(server: KvServer) -> None:
    server.secrets["secret/data/shieldx/platform"] = RING
    settings = load_settings(
        {
            "SHIELDX_VAULT_ADDRESS": server.address,
            "SHIELDX_VAULT_TOKEN": TOKEN,
            "SHIELDX_PLATFORM_VAULT_PATH": "shieldx/platform",
        }
    )
    assert list(keyring(settings, PLATFORM)) == ["k1"]
    assert server.asked == ["/v1/secret/data/shieldx/platform"]


def test_another_mount_and_a_token_as_vault_agent_writes_it(server: KvServer, tmp_path: Path) -> None:
    server.secrets["ops/kv/data/ring"] = RING
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings = Settings(
        kafka_bootstrap="k:9092",
        vault_address=server.address,
        vault_mount="ops/kv",
        audit_vault_path="ring",
        vault_token_file=tmp_path / "token",
    )
    assert list(keyring(settings)) == ["k1"]


def test_a_rejection_by_vault_is_named_after_the_remedy(server: KvServer) -> None:
    with pytest.raises(RenewVaultToken, match="grant it `read` on secret/data/shieldx/audit") as refused:
        keyring(at(server, token=WRONG_TOKEN))
    assert WRONG_TOKEN not in str(refused.value)
    with pytest.raises(CheckVaultPath, match="secret/shieldx/none of Vault at http://127"):
        keyring(at(server, path="shieldx/none"))


@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Other: 1", "hvs.é", "two tokens"])
def test_an_invalid_token_is_never_sent_or_shown(server: KvServer, token: str) -> None:
    with pytest.raises(RenewVaultToken) as refused:
        keyring(at(server, token=token))
    assert token not in str(refused.value)
    assert server.asked == []


def test_a_token_file_that_is_missing_or_empty_is_named(server: KvServer, tmp_path: Path) -> None:
    settings = Settings(
        vault_address=server.address,
        audit_vault_path="shieldx/audit",
        vault_token_file=tmp_path / "token",
    )
    with pytest.raises(RenewVaultToken, match="/token: FileNotFoundError"):
        keyring(settings)
    (tmp_path / "token").touch()
    with pytest.raises(RenewVaultToken, match="/token is empty"):
        keyring(settings)


@pytest.mark.parametrize(
    ("status", "body", "remedy", "says"),
    [
        (503, b'{"errors":["Vault is sealed"]}', CheckVault, "unseal it"),
        (429, b"{}", CheckVault, "is temporarily unavailable"),
        (500, b"{}", CheckVault, "is temporarily unavailable"),
        (418, b"{}", CheckVaultAddress, "rejected the request"),
        (200, b"<html>hunter2</html>", CheckVaultAddress, "does not come from a KV engine of version 2"),
        (200, b'{"data":{"first":"k1","keys":{}}}', CheckVaultAddress, "does not come from a KV engine of version 2"),
        (200, b"[]", CheckVaultAddress, "does not come from"),
        (200, b'{"data":{"data":{"first":"k1"}}}', FixConfiguration, "is not a keyring"),
        (200, b'{"data":{"data":null}}', FixConfiguration, "is not a keyring"),
        (200, b'{"data":{"data":{"password":"hunter2"}}}', FixConfiguration, "is not a keyring"),
    ],
)
def test_other_answers_are_named_and_never_quoted(
    server: KvServer, status: int, body: bytes, remedy: type[ShieldXError], says: str
) -> None:
    server.answer = (status, body)
    with pytest.raises(remedy, match=says) as refused:
        keyring(at(server))
    assert "hunter2" not in str(refused.value)


def test_a_server_that_hangs_times_out(server: KvServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_client, "TIMEOUT_S", (0.2, 0.2))
    server.hangs = True
    with pytest.raises(CheckVault, match=r"does not respond \(ReadTimeout\)"):
        keyring(at(server))


def test_an_unreachable_address_is_reported(server: KvServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(CheckVault, match=r"does not respond \(ConnectionError\): start it"):
        keyring(at(server, address=f"http://127.0.0.1:{port}"))
    with pytest.raises(CheckVaultAddress, match="SHIELDX_VAULT_CA_FILE"):
        keyring(at(server, address=server.address.replace("http:", "https:")))
    with pytest.raises(CheckVaultAddress, match=r"/nowhere/ca\.pem"):
        keyring(at(server, address=server.address.replace("http:", "https:"), ca_file="/nowhere/ca.pem"))


def test_without_the_extra_the_error_says_how_to_install_it(server: KvServer) -> None:
    """In a separate Python that cannot import hvac."""
    program = f"""
import sys
sys.modules["hvac"] = None
from shieldx.keyring.vault import VaultSecret, read_vault
from shieldx.keyring.vault_client import InstallVaultClient, VaultServer
try:
    read_vault(VaultSecret(VaultServer({server.address!r}, "t"), "secret", "shieldx/audit"))
except InstallVaultClient as error:
    print(error)
"""
    done = programs.run_python(program, check=True)
    assert "install shieldx[vault]" in done.stdout


def test_nobody_waits_for_hvac_who_does_not_use_it() -> None:
    program = "import sys, shieldx.bootstrap.keyring_source; print('hvac' in sys.modules, 'requests' in sys.modules)"
    done = programs.run_python(program, check=True)
    assert done.stdout == "False False\n"


VAULT = {"VAULT_ADDRESS": "http://v", "VAULT_TOKEN": "t"}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"AUDIT_KEYRING": "{}", "AUDIT_KEYRING_FILE": "f"}, ["SHIELDX_AUDIT_KEYRING_FILE and SHIELDX_AUDIT_KEYRING"]),
        ({"PLATFORM_KEYRING": "{}", "PLATFORM_KEYRING_FILE": "f"}, ["agents have one keyring", "SHIELDX_PLATFORM_KEY"]),
        (VAULT | {"AUDIT_KEYRING": "{}", "AUDIT_VAULT_PATH": "p"}, ["_AUDIT_KEYRING and SHIELDX_AUDIT_VAULT_PATH"]),
        ({"AUDIT_VAULT_PATH": "p"}, ["SHIELDX_AUDIT_VAULT_PATH mean", "SHIELDX_VAULT_ADDRESS"]),
        ({"PLATFORM_VAULT_PATH": "p", "VAULT_CA_FILE": "f"}, ["_PLATFORM_VAULT_PATH and SHIELDX_VAULT_CA_FILE mean"]),
        (VAULT, ["SHIELDX_PRIVACY_VAULT_PATH or SHIELDX_PRIVACY_VAULT_TRANSIT_KEY, and"]),
        ({"VAULT_ADDRESS": "http://v", "AUDIT_VAULT_PATH": "p"}, ["either SHIELDX_VAULT_TOKEN or"]),
        (VAULT | {"PLATFORM_VAULT_PATH": "p", "VAULT_TOKEN_FILE": "f"}, ["either SHIELDX_VAULT_TOKEN or"]),
        (VAULT | {"PRIVACY_KEYRING": "{}", "PRIVACY_VAULT_TRANSIT_KEY": "k"}, ["data keys have one keyring", "_KEY"]),
        ({"PRIVACY_VAULT_TRANSIT_KEY": "k"}, ["SHIELDX_PRIVACY_VAULT_TRANSIT_KEY mean", "SHIELDX_VAULT_ADDRESS"]),
        ({"VAULT_ADDRESS": "http://user:hunter2@v"}, ["SHIELDX_VAULT_ADDRESS: Expected"]),
    ],
)
def test_settings_that_contradict_each_other_are_named(given: dict[str, str], names: list[str]) -> None:
    with pytest.raises(FixConfiguration) as refused:
        load_settings({f"SHIELDX_{name}": value for name, value in given.items()})
    assert all(name in str(refused.value) for name in names), refused.value
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", [AUDIT, PLATFORM, PRIVACY])
def test_the_error_for_a_missing_keyring_lists_all_ways_to_configure_one(name: KeyringName) -> None:
    settings = Settings(kafka_bootstrap="k:9092")
    assert not knows_keyring(settings, name)
    prefix = f"SHIELDX_{name.prefix.upper()}"
    with pytest.raises(FixConfiguration, match=rf"{prefix}_KEYRING_FILE, {prefix}_KEYRING or {prefix}_VAULT_PATH"):
        keyring(settings, name)


@pytest.mark.parametrize("name", [AUDIT, PLATFORM])
def test_a_worker_of_this_process_gets_the_key_file_and_no_secret(tmp_path: Path, name: KeyringName) -> None:
    setting = f"{name.prefix}_keyring_file"

    def given_to(**settings: Any) -> str | None:
        environment = worker_environment(Settings(**settings), "b:1")
        assert SECRET not in str(environment)
        return environment.get(f"SHIELDX_{setting.upper()}")

    stack: dict[str, Any] = {"stack_folder": tmp_path / "stack"}
    assert given_to(**stack) is None
    keyring(Settings(**stack), name)
    assert given_to(**stack) == str(tmp_path / "stack" / f"{name.prefix}-keyring.json")
    assert given_to(**stack, kafka_bootstrap="k:9092") is None, "the stack's keys are not those of a cluster"
    new_keyring(tmp_path / "own.json", "k")
    assert given_to(**stack, **{setting: tmp_path / "own.json"}) == str(tmp_path / "own.json")
    assert given_to(**{setting: Path("relative.json")}) == str(Path.cwd() / "relative.json")
    assert given_to(**stack, **{f"{name.prefix}_keyring": json.dumps(RING)}) is None
