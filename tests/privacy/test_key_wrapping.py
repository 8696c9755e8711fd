"""Wrapped data keys: RFC 3394 within a key that is derived for each data key."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import assume, given
from hypothesis import strategies as st

from shieldx.privacy.key_encryption import AddKeyEncryptionKey, DistrustWrappedKey, UpgradeToReadKey, WrappedKey
from shieldx.privacy.key_id import DataKeyId
from shieldx.privacy.key_wrapping import TRANSIT_FORM, unwrap, with_form, wrap
from shieldx.privacy.local_keys import AddSubjectsKey, LocalKeys

KEK, DATA_KEY = b"K" * 32, b"d" * 32
NAME = DataKeyId("Café", "5" * 32, "a" * 16)
KEYS = {"k1": KEK, "k2": b"2" * 32, "subjects": b"s" * 32}


def test_the_library_wraps_as_rfc_3394_says() -> None:
    """Section 4.6: 256 bits of key data with a 256-bit key."""
    data = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    wrapped = "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    assert aes_key_wrap(bytes(range(32)), data).hex().upper() == wrapped


def test_a_key_is_wrapped_as_the_decision_describes_it() -> None:
    """docs/decisions/0029-envelope-encryption.md."""
    info = b"shieldx.kek/1\0\0\0\x05Caf\xc3\xa9\0\0\0\x20" + b"5" * 32 + b"\0\0\0\x10" + b"a" * 16
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(KEK)
    assert wrap(DATA_KEY, KEK, NAME) == b"\1" + aes_key_wrap(derived, DATA_KEY)
    assert unwrap(wrap(DATA_KEY, KEK, NAME), KEK, NAME) == DATA_KEY


@given(st.builds(DataKeyId, st.text(), st.text(), st.text()), st.binary(min_size=32, max_size=32))
def test_it_is_unwrapped_only_under_its_own_name_and_by_its_own_key(name: DataKeyId, kek: bytes) -> None:
    assume((name, kek) != (NAME, KEK))
    with pytest.raises(DistrustWrappedKey):
        unwrap(wrap(DATA_KEY, KEK, NAME), kek, name)


@given(st.one_of(st.binary(max_size=64), st.integers(0, 40).map(lambda end: wrap(DATA_KEY, KEK, NAME)[:end])))
def test_other_bytes_are_refused(other: bytes) -> None:
    assume(other != wrap(DATA_KEY, KEK, NAME))
    with pytest.raises((DistrustWrappedKey, UpgradeToReadKey)):
        unwrap(other, KEK, NAME)


def test_a_form_of_a_later_release_is_refused_by_name() -> None:
    with pytest.raises(UpgradeToReadKey, match="has form 3; this release reads 1 "):
        unwrap(with_form(3, b"x" * 40), KEK, NAME)
    with pytest.raises(DistrustWrappedKey):
        unwrap(with_form(TRANSIT_FORM, b"vault:v1:"), KEK, NAME)


async def test_the_first_key_wraps_and_every_key_unwraps() -> None:
    before, after = LocalKeys("k1", KEYS), LocalKeys("k2", KEYS)
    assert (await before.current_kek_id(), await after.current_kek_id()) == ("k1", "k2")
    old = await before.wrap(DATA_KEY, NAME)
    assert old.kek_id == "k1"
    assert await after.unwrap(old, NAME) == DATA_KEY
    new = await after.rewrap(old, NAME)
    assert new.kek_id == "k2"
    assert await before.unwrap(new, NAME) == DATA_KEY
    with pytest.raises(DistrustWrappedKey):
        await after.unwrap(WrappedKey("k1", new.wrapped), NAME)


async def test_a_missing_key_encryption_key_is_named() -> None:
    keys = LocalKeys("k1", {"k1": KEK, "subjects": b"s" * 32})
    with pytest.raises(
        AddKeyEncryptionKey, match=r"is wrapped by 'k2', which is not in the privacy keyring; it has k1$"
    ):
        await keys.unwrap(WrappedKey("k2", b""), NAME)
    with pytest.raises(AddKeyEncryptionKey, match="'subjects'"):
        await LocalKeys("k1", KEYS).unwrap(WrappedKey("subjects", wrap(DATA_KEY, KEYS["subjects"], NAME)), NAME)


@pytest.mark.parametrize(("first", "keys"), [("k1", {"k1": KEK}), ("subjects", {"subjects": KEK})])
def test_a_keyring_needs_a_key_for_pseudonyms_that_wraps_nothing(first: str, keys: dict[str, bytes]) -> None:
    with pytest.raises(AddSubjectsKey, match="'subjects'"):
        LocalKeys(first, keys)


def test_a_wrapped_key_fits_into_the_messages_of_the_agent() -> None:
    from shieldx.domains.privacy.messages import AcquireKey  # noqa: PLC0415 - only this test joins the two

    wrapped = wrap(DATA_KEY, KEK, NAME)
    request = AcquireKey(
        tenant_id=NAME.tenant_id, subject=NAME.subject, key=NAME.key, kek_id="k1", wrapped=wrapped, encryptions=1
    )
    assert msgspec.json.decode(msgspec.json.encode(request), type=AcquireKey) == request
