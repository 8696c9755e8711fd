"""HKDF as RFC 5869 has it."""

from __future__ import annotations

import hmac

from shieldx.keyring.derived import derived

SECRET = b"s" * 32


def test_a_derived_key_is_the_first_block_of_hkdf_with_sha_256() -> None:
    extracted = hmac.digest(bytes(32), SECRET, "sha256")
    assert derived(SECRET, "tokens/1") == hmac.digest(extracted, b"tokens/1\x01", "sha256")
