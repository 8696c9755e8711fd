"""A dead letter has the masked value of its record, without what a cut divides and without holding up the worker."""

from __future__ import annotations

from time import monotonic

import pytest

from shieldx.classification import CIPHERTEXT, Nature
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.declarations.message_fields import all_fields_of
from shieldx.engine.tasks.letter_payload import MOST_BYTES, MOST_S, SEALED_OR_SECRET, LetterPayload, LetterPayloads
from shieldx.privacy import mask_bytes
from tests.engine.counter_agent import ROOT

CARD = b"4532-1234-5678-9010"


def payload(value: bytes | None) -> LetterPayload:
    return LetterPayloads(mask_bytes, monotonic).of(value)


def test_a_value_is_masked_and_bytes_that_are_no_text_are_escaped() -> None:
    assert payload(b'\xff {"card": "%b"}' % CARD) == LetterPayload('\\xff {"card": "****-****-****-9010"}', cut=False)
    assert payload(b"") == LetterPayload("", cut=False)
    assert payload(None) == LetterPayload(None, cut=False)


@pytest.mark.parametrize("before", range(MOST_BYTES - 24, MOST_BYTES + 1100, 7))
def test_what_a_cut_divides_is_not_there(before: int) -> None:
    text, cut = payload(b"x" * before + b" " + CARD + b" " + b"y" * 5000)
    assert text is not None
    assert cut
    assert len(text) <= MOST_BYTES
    assert set("0123456789") & set(text) <= set("9010")


@pytest.mark.parametrize("field", SEALED_OR_SECRET)
def test_a_value_with_a_field_that_is_to_be_sealed_or_is_secret_is_left_out(field: bytes) -> None:
    value = b'{"tenant_id": "acme", %b: {"name": "Ada Lovelace"}}' % field
    assert payload(value) == LetterPayload(None, cut=True)


def test_every_sealed_or_secret_field_of_the_platform_is_known_by_name_or_by_that_of_what_it_is_in() -> None:
    for topic in load_manifests(ROOT / "topics").values():
        for kind in topic.types().values():
            for field in all_fields_of(kind):
                if field.classification is not None and (
                    field.classification is CIPHERTEXT or field.classification.nature is Nature.SECRET
                ):
                    names = {f'"{name}"'.encode() for name in field.name.split(".")}
                    assert names & set(SEALED_OR_SECRET), f"{kind.__name__}.{field.name}"


def test_one_transaction_masks_for_a_limited_time() -> None:
    now_s = 0.0

    def slow(value: bytes) -> bytes:
        nonlocal now_s
        now_s += MOST_S * 0.6
        return value

    payloads = LetterPayloads(slow, lambda: now_s)
    assert [payloads.of(b"text").text for _ in range(4)] == ["text", "text", None, None]
