"""A sealer, the agent `privacy`, and erasures, on a real Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest

from shieldx.domains.privacy.messages import AcquireKey, Code, Erase, Result, Rewrap
from shieldx.domains.privacy.tables import COMMANDS, RESULTS
from shieldx.engine.kafka.request_reply import RequestReply, Topics
from shieldx.errors import CheckConnection
from shieldx.keyring.vault_transit import TransitKey, VaultTransit
from shieldx.messages import Sealed
from shieldx.privacy.grant import OpenSealerInChild
from shieldx.privacy.key_encryption import WrappedKey
from shieldx.privacy.key_id import DataKeyId, parse_key_id
from shieldx.privacy.local_keys import LocalKeys
from shieldx.sealer import DistrustPayload, FindKeyOrGiveUp, SealAgain, Sealer
from shieldx.sealer.key_requests import KeyRequests
from tests import forking
from tests.kafka_proxy import kafka_proxy
from tests.polling import until_answered

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform
    from tests.openbao import OpenBao

pytestmark = pytest.mark.integration
ADA = b'{"name":"Ada Lovelace"}'


class Operator(RequestReply[Erase | Rewrap, Result]):
    """Sends commands, as an operator does."""

    def __init__(self, connection: dict[str, Any]) -> None:
        super().__init__(connection, Topics(COMMANDS, RESULTS), Result, retry_after_s=5)

    def _schema(self, request: Erase | Rewrap) -> str:
        return f"privacy.{type(request).__struct_config__.tag}/1"

    def _answers(self, reply: Result, request: Erase | Rewrap, *, at_home: bool) -> bool:
        return at_home and reply.subject == request.subject

    def _unanswered(self, request: Erase | Rewrap, reason: str) -> SealAgain:
        return SealAgain(f"{request}: {reason}")

    def _too_large(self, request: Erase | Rewrap, error: Exception) -> SealAgain:
        return SealAgain(f"{request}: {error}")


async def asked(platform: Platform, command: Erase | Rewrap) -> Result:
    async with Operator(platform.connection) as operator:
        return await operator.ask(command, timeout_s=30)


def name_of(tenant: str, sealed: Sealed) -> DataKeyId:
    name = parse_key_id(tenant, sealed.key_id)
    assert name is not None
    return name


@pytest.fixture
def place() -> dict[str, str]:
    return {"tenant_id": f"t-{uuid4().hex}", "topic": "credits.commands", "field": "personal", "idempotency_key": "k1"}


async def test_without_an_answer_the_caller_is_told_to_seal_again(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object) -> None:
        """As if the agent did not run, which it does for other tests."""

    monkeypatch.setattr(KeyRequests, "_send", lose)
    async with Sealer(platform.connection, key_encryption, timeout_s=0.5) as sealer:
        with pytest.raises(SealAgain, match="check"):
            await sealer.seal(ADA, subject="ada", **place)


@pytest.mark.usefixtures("privacy_agent")
async def test_what_one_process_seals_another_one_opens(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    async with Sealer(platform.connection, key_encryption) as sealer:
        sealed = await sealer.seal(ADA, subject="ada", **place)
        assert await sealer.open(sealed, **place) == ADA
    assert b"Ada" not in msgspec.json.encode(sealed)
    async with Sealer(platform.connection, key_encryption) as reader:
        assert await reader.open(sealed, **place) == ADA
        with pytest.raises(DistrustPayload, match="altered or moved here"):
            await reader.open(sealed, **place | {"idempotency_key": "k2"})


@pytest.mark.usefixtures("privacy_agent")
async def test_callers_for_one_subject_share_an_acquisition_and_acquire_again_when_it_is_used_up(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    sent: list[AcquireKey] = []

    async with Sealer(platform.connection, key_encryption, encryptions=20) as sealer:
        requests = sealer._requests  # noqa: SLF001 - to count what is sent
        send = requests._send  # noqa: SLF001 - likewise

        async def counting(request: AcquireKey, correlation_id: bytes) -> None:
            sent.append(request)
            await send(request, correlation_id)

        requests._send = counting  # type: ignore[method-assign] # noqa: SLF001 - likewise
        values = await asyncio.gather(*(sealer.seal(ADA, subject="ada", **place) for _ in range(20)))
        assert len(sent) == 1
        values.append(await sealer.seal(ADA, subject="ada", **place))
        assert len(sent) == 2
    assert len({sealed.key_id for sealed in values}) == 1, "the newest key has encryptions left"
    assert len({sealed.nonce for sealed in values}) == 21


@pytest.mark.usefixtures("privacy_agent")
async def test_a_key_that_another_process_proposed_is_unwrapped_from_the_table(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    async with (
        Sealer(platform.connection, key_encryption) as first,
        Sealer(platform.connection, key_encryption) as other,
    ):
        one, two = await asyncio.gather(
            first.seal(ADA, subject="ada", **place), other.seal(ADA, subject="ada", **place)
        )
        assert one.key_id == two.key_id
        assert await first.open(two, **place) == await other.open(one, **place) == ADA


@pytest.mark.usefixtures("privacy_agent")
async def test_after_an_erasure_nothing_opens_and_new_values_get_a_new_key(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    tenant = place["tenant_id"]
    async with Sealer(platform.connection, key_encryption) as sealer:
        sealed = await sealer.seal(ADA, subject="ada", **place)
        kept = await sealer.seal(ADA, subject="grace", **place)
        name = name_of(tenant, sealed)
        erased = await asked(platform, Erase(tenant_id=tenant, subject=name.subject, actor="olga"))
        assert erased.destroyed == (name.key,)

        async def has_new_key() -> bool:
            return (await sealer.seal(ADA, subject="ada", **place)).key_id != sealed.key_id

        await until_answered(has_new_key, wanted=True, timeout_s=5)
        again = await sealer.seal(ADA, subject="ada", **place)
        with pytest.raises(FindKeyOrGiveUp, match=r"was erased, or never was in privacy\.keys"):
            await sealer.open(sealed, **place)
        assert await sealer.open(again, **place) == await sealer.open(kept, **place) == ADA


@pytest.mark.usefixtures("privacy_agent")
async def test_a_forked_child_cannot_use_the_sealer_of_its_parent(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    async with Sealer(platform.connection, key_encryption) as sealer:
        await sealer.seal(ADA, subject="ada", **place)
        assert forking.raised_in_child(lambda: sealer.seal(ADA, subject="ada", **place).send(None)) is OpenSealerInChild


async def test_a_key_of_a_producer_s_own_is_not_looked_for(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    async with Sealer(platform.connection, key_encryption) as sealer:
        own = Sealed(sealed="A256GCM/1", key_id="person/7", nonce=b"n" * 12, ciphertext=b"c" * 17)
        with pytest.raises(FindKeyOrGiveUp, match="'person/7' is not a key of the platform"):
            await sealer.open(own, **place)


@pytest.mark.usefixtures("privacy_agent")
async def test_a_rotated_key_encryption_key_opens_old_values_without_encrypting_them_again(
    platform: Platform, place: dict[str, str]
) -> None:
    keys = {"k1": b"1" * 32, "k2": b"2" * 32, "subjects": b"s" * 32}
    old, new = LocalKeys("k1", keys), LocalKeys("k2", keys)
    async with Sealer(platform.connection, old) as sealer:
        sealed = await sealer.seal(ADA, subject="ada", **place)
        row = sealer._table.find(place["tenant_id"], name_of(place["tenant_id"], sealed).subject)  # noqa: SLF001 - what an operator reads from privacy.keys
    assert row is not None
    (stored,) = row.keys
    name = DataKeyId(row.tenant_id, row.subject, stored.key)
    wrapped = await new.rewrap(WrappedKey(stored.kek_id, stored.wrapped), name)
    result = await asked(
        platform, Rewrap(**name._asdict(), from_kek_id="k1", kek_id=wrapped.kek_id, wrapped=wrapped.wrapped)
    )
    assert (result.code, result.kek_id) == (Code.OK, "k2")
    del keys["k1"]
    async with Sealer(platform.connection, LocalKeys("k2", keys)) as reader:
        assert await reader.open(sealed, **place) == ADA


@pytest.mark.usefixtures("privacy_agent")
async def test_key_encryption_keys_in_vault(platform: Platform, openbao: OpenBao, place: dict[str, str]) -> None:
    name = f"k-{uuid4().hex}"
    openbao.make_keys(name)
    key = TransitKey(openbao.server(), "transit", name)
    async with Sealer(platform.connection, VaultTransit(key)) as sealer:
        sealed = await sealer.seal(ADA, subject="ada", **place)
    openbao.client.secrets.transit.rotate_key(name)
    async with Sealer(platform.connection, VaultTransit(key)) as reader:
        assert await reader.open(sealed, **place) == ADA


@pytest.mark.usefixtures("privacy_agent")
async def test_a_sealer_that_cannot_see_erasures_stops_within_the_time_that_it_promises(
    platform: Platform, key_encryption: LocalKeys, place: dict[str, str]
) -> None:
    async with Sealer(platform.connection, key_encryption) as unhindered:
        await unhindered.seal(ADA, subject="ada", **place)
    async with kafka_proxy(platform.bootstrap) as proxy:
        connection = platform.connection | {"bootstrap_servers": proxy.bootstrap}
        async with Sealer(connection, key_encryption, seen_within_s=1, timeout_s=2) as sealer:
            sealed = await sealer.seal(ADA, subject="ada", **place)
            await proxy.stop()

            async def refuses() -> bool:
                try:
                    await sealer.seal(ADA, subject="ada", **place)
                except (CheckConnection, SealAgain):
                    return True
                return False

            await until_answered(refuses, wanted=True)
            with pytest.raises(CheckConnection):
                await sealer.open(sealed, **place)
