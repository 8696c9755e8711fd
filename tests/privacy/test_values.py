from __future__ import annotations

import msgspec

from shieldx.privacy import default_masker
from shieldx.privacy.values import encode_masked, mask_values, masking_hook


class Address:
    def __repr__(self) -> str:
        return "Address('user@email.com')"


class Payment(msgspec.Struct):
    card: str
    token: str
    amount: int


def test_texts_in_nested_values_are_masked() -> None:
    given = {"a": ["user@email.com", {"secret": "x", "n": 7}], "b": (Address(), None), "pin": 1234}
    assert mask_values(given, default_masker()) == {
        "a": ["us***@email.com", {"secret": "***", "n": 7}],
        "b": ("Address('us***@email.com')", None),
        "pin": "***",
    }


def test_the_name_of_a_secret_counts_for_what_is_nested_in_it() -> None:
    given = {"password": {"old": "x", "new": [7, {"a": "b"}]}, "max_tokens": 5, "api_keys": ["k"]}
    assert mask_values(given, default_masker()) == {
        "password": {"old": "***", "new": ["***", {"a": "***"}]},
        "max_tokens": 5,
        "api_keys": ["***"],
    }


def test_keys_are_masked_and_stay_apart() -> None:
    given = {"a": {"user@email.com": 1, "usher@email.com": 2, 4111111111111111: 3, 7: 4}}
    assert mask_values(given, default_masker()) == {
        "a": {"us***@email.com": 1, "us***@email.com (2)": 2, "************1111": 3, 7: 4}
    }


def test_the_hook_masks_what_msgspec_cannot_encode() -> None:
    encoded = msgspec.json.encode({"who": Address()}, enc_hook=masking_hook(default_masker()))
    assert encoded == b"""{"who":"Address('us***@email.com')"}"""


def test_a_struct_is_encoded_masked() -> None:
    encoded = encode_masked(Payment(card="4111111111111111", token="x", amount=5), default_masker())  # noqa: S106
    assert encoded == b'{"card":"************1111","token":"***","amount":5}'
