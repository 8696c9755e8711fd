"""Vault's transit engine as the key that wraps data keys, on a real OpenBao."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.keyring.vault_client import CheckVault, CheckVaultAddress, CheckVaultPath, RenewVaultToken
from shieldx.keyring.vault_transit import CreateDerivedKey, TransitKey, VaultTransit
from shieldx.privacy.key_encryption import AddKeyEncryptionKey, DistrustWrappedKey, UpgradeToReadKey, WrappedKey
from shieldx.privacy.key_id import DataKeyId
from shieldx.privacy.key_wrapping import wrap
from shieldx.settings import load_settings
from tests.keyring.kv_server import TOKEN, running_kv_server

if TYPE_CHECKING:
    from tests.openbao import OpenBao

DATA_KEY = b"d" * 32
NAME = DataKeyId("Café", "5" * 32, "a" * 16)
POLICY = """
path "transit/keys/{0}" {{ capabilities = ["read"] }}
path "transit/encrypt/{0}" {{ capabilities = ["update"] }}
path "transit/decrypt/{0}" {{ capabilities = ["update"] }}
path "transit/rewrap/{0}" {{ capabilities = ["update"] }}
path "transit/hmac/{0}-subjects" {{ capabilities = ["update"] }}
"""


@pytest.fixture
def key(openbao: OpenBao) -> str:
    """The name of a key of the test's own."""
    name = f"k-{uuid4().hex}"
    openbao.make_keys(name)
    return name


@pytest.fixture
def transit(openbao: OpenBao, key: str) -> VaultTransit:
    return VaultTransit(TransitKey(openbao.server(), "transit", key))


async def test_a_data_key_is_wrapped_and_unwrapped_under_its_name_only(transit: VaultTransit, key: str) -> None:
    wrapped = await transit.wrap(DATA_KEY, NAME)
    assert wrapped.kek_id == f"{key}:v1" == await transit.current_kek_id()
    assert wrapped.wrapped.startswith(b"\2vault:v1:")
    assert len(wrapped.wrapped) <= 512, "it fits into the messages of the agent"
    assert await transit.unwrap(wrapped, NAME) == DATA_KEY
    for other in (NAME._replace(tenant_id="acme"), NAME._replace(subject="6" * 32), NAME._replace(key="b" * 16)):
        for refusing in (transit.unwrap, transit.rewrap):
            with pytest.raises(DistrustWrappedKey):
                await refusing(wrapped, other)


async def test_altered_and_foreign_wrappings_are_refused(transit: VaultTransit, key: str) -> None:
    kek_id, wrapped = await transit.wrap(DATA_KEY, NAME)
    for other in (wrapped[:-1], wrapped[:-4] + b"AAAA", b"\2", b"", b"\2\xff", wrap(DATA_KEY, b"K" * 32, NAME)):
        with pytest.raises(DistrustWrappedKey):
            await transit.unwrap(WrappedKey(kek_id, other), NAME)
    with pytest.raises(UpgradeToReadKey, match="has form 3"):
        await transit.unwrap(WrappedKey(kek_id, b"\3" + wrapped[1:]), NAME)
    with pytest.raises(AddKeyEncryptionKey, match=f"'k1', which is not a version of Vault's transit key '{key}'"):
        await transit.unwrap(WrappedKey("k1", wrapped), NAME)


async def test_a_rotated_key_wraps_new_data_keys_and_wraps_old_ones_again(
    openbao: OpenBao, transit: VaultTransit, key: str
) -> None:
    old = await transit.wrap(DATA_KEY, NAME)
    openbao.client.secrets.transit.rotate_key(key)
    assert await transit.current_kek_id() == f"{key}:v2" == (await transit.wrap(DATA_KEY, NAME)).kek_id
    assert await transit.unwrap(old, NAME) == DATA_KEY
    new = await transit.rewrap(old, NAME)
    assert new.kek_id == f"{key}:v2"
    openbao.client.secrets.transit.update_key_configuration(key, min_decryption_version=2)
    assert await transit.unwrap(new, NAME) == DATA_KEY
    with pytest.raises(AddKeyEncryptionKey, match=f"check min_decryption_version of transit/keys/{key}"):
        await transit.unwrap(old, NAME)


async def test_pseudonyms_stay_the_same_when_their_key_is_rotated(
    openbao: OpenBao, transit: VaultTransit, key: str
) -> None:
    ada = await transit.pseudonym("acme", "ada")
    assert re.fullmatch("[0-9a-f]{32}", ada)
    assert len({ada, await transit.pseudonym("acme", "grace"), await transit.pseudonym("globex", "ada")}) == 3
    openbao.client.secrets.transit.rotate_key(f"{key}-subjects")
    restarted = VaultTransit(TransitKey(openbao.server(), "transit", key))
    assert await restarted.pseudonym("acme", "ada") == ada


async def test_the_policy_of_the_guide_is_enough_and_another_token_is_refused(openbao: OpenBao, key: str) -> None:
    token = openbao.token_with(POLICY.format(key))
    settings = load_settings(
        {
            "SHIELDX_KAFKA_BOOTSTRAP": "k:9092",
            "SHIELDX_VAULT_ADDRESS": openbao.address,
            "SHIELDX_VAULT_TOKEN": token,
            "SHIELDX_PRIVACY_VAULT_TRANSIT_KEY": key,
        }
    )
    keys = key_encryption(settings)
    wrapped = await keys.rewrap(await keys.wrap(DATA_KEY, NAME), NAME)
    assert await keys.unwrap(wrapped, NAME) == DATA_KEY
    assert await keys.pseudonym("acme", "ada")
    stranger = VaultTransit(TransitKey(openbao.server("hvs.wrong"), "transit", key))
    with pytest.raises(RenewVaultToken, match=f"grant it `read` on transit/keys/{key}") as refused:
        await stranger.wrap(DATA_KEY, NAME)
    assert "hvs.wrong" not in str(refused.value)


async def test_a_key_that_would_not_bind_data_keys_to_their_names_is_refused(openbao: OpenBao) -> None:
    openbao.client.secrets.transit.create_key("not-derived")
    transit = VaultTransit(TransitKey(openbao.server(), "transit", "not-derived"))
    with pytest.raises(CreateDerivedKey, match="derived=true"):
        await transit.wrap(DATA_KEY, NAME)


async def test_a_key_or_mount_that_does_not_exist_is_named(openbao: OpenBao) -> None:
    for mount, name in (("transit", "none"), ("nowhere", "k")):
        transit = VaultTransit(TransitKey(openbao.server(), mount, name))
        with pytest.raises(CheckVaultPath, match=f"^{mount}/keys/{name} of Vault at http://127"):
            await transit.current_kek_id()


async def test_a_keyring_in_a_real_kv_engine(openbao: OpenBao) -> None:
    secret = b64encode(b"s" * 32).decode()
    ring = {"first": "k1", "keys": {"k1": secret, "subjects": secret}}
    openbao.client.secrets.kv.v2.create_or_update_secret("shieldx/privacy", secret=ring)
    settings = load_settings(
        {
            "SHIELDX_KAFKA_BOOTSTRAP": "k:9092",
            "SHIELDX_VAULT_ADDRESS": openbao.address,
            "SHIELDX_VAULT_TOKEN": "root",
            "SHIELDX_PRIVACY_VAULT_PATH": "shieldx/privacy",
        }
    )
    assert await key_encryption(settings).current_kek_id() == "k1"


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        ((503, b'{"errors":["Vault is sealed"]}'), CheckVault),
        ((200, b'{"data":{"derived":true}}'), CheckVaultAddress),
        ((200, b"<html>hunter2</html>"), CheckVaultAddress),
    ],
)
async def test_other_answers_are_named_and_never_quoted(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes], remedy: type[Exception]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_kv_server() as server:
        server.answer = answer
        transit = VaultTransit(TransitKey(server.vault(TOKEN), "transit", "k"))
        with pytest.raises(remedy) as refused:
            await transit.current_kek_id()
    assert "hunter2" not in str(refused.value)
