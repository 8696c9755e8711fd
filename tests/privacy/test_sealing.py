"""Sealed values: what opens them, and what does not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shieldx.messages import Sealed
from shieldx.privacy.key_id import DataKeyId, parse_key_id
from shieldx.privacy.sealing import (
    DistrustPayload,
    Place,
    SealingKey,
    Use32ByteKey,
    UseFresh12ByteNonce,
    associated_data,
)

KEY_ID = f"{'5' * 32}.{'a' * 16}"
KEY, NONCE = SealingKey(b"k" * 32, KEY_ID), b"n" * 12
HERE = Place("acme", "credits.commands", "payment.reference", "a1")
REFERENCE = b"pm_1NqLovelace"

places = st.builds(Place, st.text(), st.text(), st.text(), st.text())


def sealed() -> Sealed:
    return KEY.seal(REFERENCE, HERE, nonce=NONCE)


def test_a_sealed_value_is_opened_with_its_key_in_its_place() -> None:
    assert KEY.open(sealed(), HERE) == REFERENCE


def test_nothing_of_the_value_shows() -> None:
    assert b"Lovelace" not in msgspec.json.encode(sealed())
    assert b"Lovelace" not in sealed().ciphertext


def test_its_form_has_a_version_and_another_one_is_refused_by_name() -> None:
    text = msgspec.json.encode(sealed())
    assert msgspec.json.decode(text, type=Sealed) == sealed()
    with pytest.raises(msgspec.ValidationError, match=r"Invalid enum value 'A256GCM/2' - at `\$\.sealed`"):
        msgspec.json.decode(text.replace(b"GCM/1", b"GCM/2"), type=Sealed)


@pytest.mark.parametrize(
    "place",
    [
        HERE._replace(tenant_id="globex"),
        HERE._replace(topic="audit.appends"),
        HERE._replace(field="payment.brand"),
        HERE._replace(idempotency_key="a2"),
        Place("acmec", "redits.commands", "payment.reference", "a1"),
        Place("acme", "credits.commands", "payment.referencea", "1"),
    ],
    ids=["tenant", "topic", "field", "record", "border", "last border"],
)
def test_it_opens_in_no_other_place(place: Place) -> None:
    with pytest.raises(DistrustPayload, match="altered or moved here") as refused:
        KEY.open(sealed(), place)
    assert "Lovelace" not in str(refused.value)


@given(places, places)
def test_no_two_places_have_the_same_associated_data(one: Place, other: Place) -> None:
    assume(one != other)
    assert associated_data(one) != associated_data(other)
    with pytest.raises(DistrustPayload):
        KEY.open(KEY.seal(REFERENCE, one, nonce=NONCE), other)


@given(st.data())
def test_altered_truncated_and_lengthened_bytes_are_refused(data: st.DataObject) -> None:
    genuine = sealed()
    name = data.draw(st.sampled_from(["nonce", "ciphertext"]))
    content = getattr(genuine, name)
    other = data.draw(
        st.one_of(
            st.binary(max_size=64),
            st.integers(0, len(content) - 1).map(lambda end: content[:end]),
            st.binary(min_size=1, max_size=4).map(lambda more: content + more),
            st.integers(0, 8 * len(content) - 1).map(
                lambda bit: (int.from_bytes(content, "big") ^ 1 << bit).to_bytes(len(content), "big")
            ),
        )
    )
    assume(other != content)
    with pytest.raises(DistrustPayload):
        KEY.open(msgspec.structs.replace(genuine, **{name: other}), HERE)


@given(st.binary(), st.binary())
def test_ciphertexts_of_two_records_cannot_be_swapped(one: bytes, other: bytes) -> None:
    there = HERE._replace(idempotency_key="a2")
    here_sealed, there_sealed = KEY.seal(one, HERE, nonce=b"1" * 12), KEY.seal(other, there, nonce=b"2" * 12)
    swapped = msgspec.structs.replace(here_sealed, ciphertext=there_sealed.ciphertext)
    for moved, place in ((swapped, HERE), (there_sealed, HERE), (here_sealed, there)):
        with pytest.raises(DistrustPayload):
            KEY.open(moved, place)


@given(st.binary(min_size=32, max_size=32))
def test_another_key_does_not_open_it_whatever_its_id(secret: bytes) -> None:
    assume(secret != b"k" * 32)
    with pytest.raises(DistrustPayload):
        SealingKey(secret, KEY_ID).open(sealed(), HERE)
    with pytest.raises(DistrustPayload):
        SealingKey(b"k" * 32, "another id").open(sealed(), HERE)


def test_a_key_or_nonce_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(Use32ByteKey, match="has 33 bytes"):
        SealingKey(b"k" * 33, "k")
    with pytest.raises(UseFresh12ByteNonce, match="has 11 bytes"):
        KEY.seal(REFERENCE, HERE, nonce=b"n" * 11)


def test_a_key_s_id_names_its_subject_and_itself() -> None:
    name = DataKeyId("acme", "5" * 32, "a" * 16)
    assert name.key_id == KEY_ID
    assert parse_key_id("acme", KEY_ID) == name


@pytest.mark.parametrize("own", ["person/7", KEY_ID.upper(), f"{KEY_ID}\n", KEY_ID.replace(".", "-"), ""])
def test_an_id_that_a_producer_chose_is_not_one_of_the_platform(own: str) -> None:
    assert parse_key_id("acme", own) is None
