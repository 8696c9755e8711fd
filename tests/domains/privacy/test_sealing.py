"""Sealed payloads: what opens them, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.privacy.sealing import (
    DistrustPayload,
    Use32ByteKey,
    UseFresh12ByteNonce,
    open_sealed,
    seal,
)

if TYPE_CHECKING:
    from shieldx.messages import Sealed

KEY, OTHER_KEY, NONCE = b"k" * 32, b"o" * 32, b"n" * 12
PAYLOAD = b'{"name":"Ada Lovelace"}'


def sealed_for(tenant_id: str = "acme", idempotency_key: str = "a1") -> Sealed:
    return seal(PAYLOAD, key=KEY, key_id="person/7", nonce=NONCE, tenant_id=tenant_id, idempotency_key=idempotency_key)


def test_a_sealed_payload_is_opened_with_its_key_for_its_append() -> None:
    assert open_sealed(sealed_for(), {"person/7": KEY}, tenant_id="acme", idempotency_key="a1") == PAYLOAD


def test_nothing_of_the_payload_shows() -> None:
    assert b"Ada" not in msgspec.json.encode(sealed_for())
    assert b"Ada" not in sealed_for().ciphertext


@pytest.mark.parametrize(
    ("sealed", "key"),
    [
        (sealed_for(tenant_id="globex"), KEY),
        (sealed_for(idempotency_key="a2"), KEY),
        (sealed_for(tenant_id="acmea", idempotency_key="1"), KEY),
        (msgspec.structs.replace(sealed_for(), nonce=b"m" * 12), KEY),
        (msgspec.structs.replace(sealed_for(), nonce=b"m"), KEY),
        (msgspec.structs.replace(sealed_for(), ciphertext=sealed_for().ciphertext[:-1] + b"\0"), KEY),
        (msgspec.structs.replace(sealed_for(), ciphertext=b""), KEY),
        (sealed_for(), OTHER_KEY),
    ],
    ids=["tenant", "key", "border", "nonce", "short nonce", "ciphertext", "no ciphertext", "other secret"],
)
def test_a_payload_that_is_not_genuine_is_not_opened(sealed: Sealed, key: bytes) -> None:
    with pytest.raises(DistrustPayload, match="'person/7' sealed for tenant 'acme'"):
        open_sealed(sealed, {"person/7": key}, tenant_id="acme", idempotency_key="a1")


@given(st.text(), st.text(), st.text(), st.text())
def test_it_opens_for_its_own_append_and_for_no_other(tenant: str, key: str, other_tenant: str, other_key: str) -> None:
    sealed = sealed_for(tenant, key)
    if (tenant, key) == (other_tenant, other_key):
        assert open_sealed(sealed, {"person/7": KEY}, tenant_id=tenant, idempotency_key=key) == PAYLOAD
    else:
        with pytest.raises(DistrustPayload):
            open_sealed(sealed, {"person/7": KEY}, tenant_id=other_tenant, idempotency_key=other_key)


def test_a_key_or_nonce_of_the_wrong_size_is_refused() -> None:
    append_of = {"key_id": "person/7", "tenant_id": "acme", "idempotency_key": "a1"}
    with pytest.raises(Use32ByteKey, match="has 33 bytes"):
        seal(PAYLOAD, key=b"k" * 33, nonce=NONCE, **append_of)
    with pytest.raises(UseFresh12ByteNonce, match="has 11 bytes"):
        seal(PAYLOAD, key=KEY, nonce=b"n" * 11, **append_of)
