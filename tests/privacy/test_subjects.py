"""Pseudonyms of subjects."""

from __future__ import annotations

import hmac
from hashlib import sha256

from hypothesis import assume, given
from hypothesis import strategies as st

from shieldx.privacy.local_keys import LocalKeys
from shieldx.privacy.subjects import pseudonym

KEY = b"s" * 32


def test_a_pseudonym_is_half_an_hmac_of_tenant_and_name() -> None:
    message = b"shieldx.subject/1\0\0\0\x05Caf\xc3\xa9\0\0\0\x03ada"
    assert pseudonym(KEY, "Café", "ada") == hmac.new(KEY, message, sha256).hexdigest()[:32]


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_two_subjects_never_share_one(one: tuple[str, str], other: tuple[str, str]) -> None:
    assume(one != other)
    assert pseudonym(KEY, *one) != pseudonym(KEY, *other)


async def test_it_outlives_the_rotation_of_key_encryption_keys() -> None:
    before = LocalKeys("k1", {"k1": b"1" * 32, "subjects": KEY})
    after = LocalKeys("k2", {"k1": b"1" * 32, "k2": b"2" * 32, "subjects": KEY})
    assert (
        await before.pseudonym("acme", "ada") == await after.pseudonym("acme", "ada") == pseudonym(KEY, "acme", "ada")
    )
