from __future__ import annotations

import json
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shieldx.privacy.masker import Masker
from tests.lengths import SOAK, length
from tests.privacy.texts import TEXTS

MASKER = Masker()
OF_SHORT_LINES = Masker(line_limit_bytes=2_000)
THE_SAME_EXAMPLES = settings(derandomize=not SOAK, max_examples=length(short=200, soak=20_000))
"""In `make test` a failure must be of the change at hand. New examples are tried in `make soak`."""


@THE_SAME_EXAMPLES
@given(TEXTS)
def test_masking_twice_is_masking_once(text: str) -> None:
    once = MASKER.mask(text)
    assert MASKER.mask(once) == once


@given(st.text() | TEXTS)
def test_any_text_is_masked_without_an_error(text: str) -> None:
    MASKER.mask(text)


@given(st.binary())
def test_any_bytes_are_masked_without_an_error(text: bytes) -> None:
    MASKER.mask_bytes(text)


IN_JSON = TEXTS.filter(lambda text: "</" not in text)
"""The content of an XML element goes to its end tag, wherever that is."""
# A number in a list is left out: the masker cannot tell such a list from a text in a string.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | IN_JSON,
    lambda inner: (
        st.lists(inner.filter(lambda value: not isinstance(value, int)), max_size=3)
        | st.dictionaries(st.sampled_from(["password", "pan", "user_agent", "pin", "n"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@THE_SAME_EXAMPLES
@given(VALUES)
def test_json_remains_json(value: object) -> None:
    line = json.dumps({"value": value})
    assert set(json.loads(MASKER.mask(line))) == {"value"}


HOSTILE = {
    "words": "word ",
    "digits": "4",
    "grouped digits": "4111 ",
    "cards": "4111111111111111,",
    "at signs": "a@",
    "mail": "a@b.co,",
    "percents": "%41",
    "percents in words": "%41 a",
    "entities": "&amp;",
    "quotes": '"password":"\\"',
    "open quotes": '"password":"',
    "brackets": '"password":["',
    "nested names": '"tokens":{',
    "names in names": '"password":{"a":"b",',
    "nested lists": '"password":[[',
    "parameters": 'Authorization: a="b",',
    "bare user agents": "Mozilla/5.0 (a",
    "tracks": "%B4111111111111111^A",
    "dashes": "4111\u2013",
    "letters": "a4111111111111111",
    "backslashes": "\\",
    "base64": "SGVsbG8gd29ybGQg",
    "base64 with slashes": "SGV/",
    "jwt": "eyJabcdefgh-",
    "jwt with dots": "eyJabcdefgh.",
    "keys": "sk-ab",
    "colons": "::a",
    "plus": "+1 2 3 4 5 6 7 8",
    "user agents": '"Mozilla/',
    "pem": "-----BEGIN A-----",
    "pem lines": "-----BEGIN A-----\n",
    "urls": "://a@",
    "lines": "\n",
    "iban": "DE89 3704 0044 053",
}


@pytest.mark.parametrize("masker", [MASKER, OF_SHORT_LINES], ids=["lines", "parts of lines"])
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_time_grows_with_the_length(unit: str, masker: Masker) -> None:
    """Eight times the text takes less than 24 times as long: a square would take 64."""
    short = (unit * (5_000 // len(unit))).encode()
    masker.mask_bytes(short)
    for _ in range(3):  # another process may take the processor from either
        times = [min(_seconds(masker, text) for _ in range(2)) for text in (short, short * 8)]
        if times[1] < 24 * max(times[0], 0.001):
            return
    pytest.fail(f"{times[0]:.4f} s for {len(short):,} bytes, {times[1]:.4f} s for eight times as many")


def _seconds(masker: Masker, text: bytes) -> float:
    begun = process_time()
    masker.mask_bytes(text)
    return process_time() - begun
