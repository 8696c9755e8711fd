from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.privacy.masker import Masker
from tests.privacy.texts import TEXTS

if TYPE_CHECKING:
    from collections.abc import Sequence

MASKER = Masker()
OF_SHORT_LINES = Masker(line_limit_bytes=200)
PEM = """key:
-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,0123456789ABCDEF

MIIEowIBAAKCAQEAy8Dbv8prpJ/0kKhlGeJYozo2t60EG8L0561g13R29LvMR5hy
vGZlGJpmn65+A4xHXInJYiPuKzrKUnApeLZ+vw1HocOAZtWK0z3r26uA8kQYOKX9
Qt/DbCdvsF9wF8gRK0ptx9M6R13NvBxvVQAp
-----END RSA PRIVATE KEY-----
after
"""


def fed(masker: Masker, text: bytes, cuts: Sequence[int]) -> bytes:
    stream = masker.stream()
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    return b"".join([stream.feed(text[a:b]) for a, b in pairwise(places)]) + stream.close()


@given(
    st.lists(TEXTS, max_size=6).map("".join),
    st.lists(st.integers(0, 600), max_size=6),
    st.sampled_from([MASKER, OF_SHORT_LINES]),
)
def test_a_text_in_pieces_is_masked_as_the_whole(text: str, cuts: list[int], masker: Masker) -> None:
    encoded = text.encode("utf-8", "surrogatepass")
    assert fed(masker, encoded, cuts) == masker.mask_bytes(encoded)
    masker.mask(text)


def test_a_card_that_is_cut_anywhere_is_masked() -> None:
    text = b"paid with 4532-1234-5678-9010, thanks"
    for cut in range(len(text)):
        assert fed(MASKER, text, [cut]) == b"paid with ****-****-****-9010, thanks"


def test_a_pem_block_over_many_lines_becomes_one_line() -> None:
    masked = "key:\n-----BEGIN RSA PRIVATE KEY-----\n***\n-----END RSA PRIVATE KEY-----\nafter\n"
    assert MASKER.mask(PEM) == masked
    assert MASKER.mask(masked) == masked
    assert fed(MASKER, PEM.encode(), range(0, len(PEM), 7)).decode() == masked


def test_a_pem_block_that_breaks_off_does_not_hide_what_comes_after() -> None:
    begun = "".join(PEM.splitlines(keepends=True)[:7])
    assert MASKER.mask(begun + "ERROR the upload failed\n").endswith("KEY-----\n***\nERROR the upload failed\n")


def test_memory_is_bounded_by_the_line_limit() -> None:
    stream = MASKER.stream()
    out = 0
    for _ in range(100):
        out += len(stream.feed(b"word, and more " * 1000))
        assert 100 * 15_000 - out >= 0
    held = 100 * 15_000 - out
    assert held <= 65_536


@pytest.mark.parametrize("card_at", range(65_400, 65_560, 8))
def test_a_card_is_masked_where_a_long_line_is_cut(card_at: int) -> None:
    line = ("word " * 20_000)[:card_at] + " 4532-1234-5678-9010 " + "word " * 2000
    assert MASKER.mask(line).count("****-****-****-9010") == 1


@pytest.mark.parametrize(("before", "after"), [('{"password":"', '","n":1}'), ("Bearer 1", " n=1")])
def test_a_secret_longer_than_a_line_may_be_is_masked_to_its_end(before: str, after: str) -> None:
    masked = MASKER.mask(before + "secret" * 50_000 + after)
    assert masked == before.removesuffix("1") + "***" + after


def test_lines_are_written_as_they_come() -> None:
    stream = MASKER.stream()
    assert stream.feed(b"one\ntw") == b"one\n"
    assert stream.feed(b"o\n") == b"two\n"
    assert stream.close() == b""
