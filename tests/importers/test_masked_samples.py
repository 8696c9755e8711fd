"""Requests lose what is personal or secret, and keep what rules judge by."""

from __future__ import annotations

from shieldx.domains.shadow.sample import Request, Sample
from shieldx.importers.masking import CATEGORIES, FILL, masked
from shieldx.privacy.masker import Masker

MASKER = Masker(categories=CATEGORIES, fill=FILL)


def sample(**request: object) -> Sample:
    return Sample(label="attack", category="sqli", source="x#1", request=Request(**request))  # type: ignore[arg-type]


def test_target_headers_and_body_are_masked_without_a_character_that_rules_take_for_an_attack() -> None:
    hidden = masked(
        sample(
            uri="/pay?card=4532-1234-5678-9010",
            headers=(("Authorization", "Bearer abcdefghijklmnop0123456789"), ("X-From", "ada@analytical.example")),
            body=b'{"number": "4111111111111111"}',
        ),
        MASKER,
    ).request
    assert hidden.uri == "/pay?card=xxxx-xxxx-xxxx-9010"
    assert hidden.headers == (("Authorization", "Bearer xxx"), ("X-From", "adxxx@analytical.example"))
    assert hidden.body == b'{"number": "xxxxxxxxxxxx1111"}'


def test_credentials_and_sessions_are_hidden() -> None:
    headers = (
        ("X-Api-Key", "3f9c2a7b18d04e55"),
        ("Authorization", "Token 3f9c2a7b18d04e55"),
        ("Cookie", "lang=en; sid=3f9c2a7b18d04e553f9c2a7b; q=' or 1=1--"),
    )
    assert [value for _, value in masked(sample(headers=headers), MASKER).request.headers] == [
        "xxx",
        "Token xxx",
        "lang=en; sid=xxx; q=' or 1=1--",
    ]


def test_what_rules_judge_by_stays() -> None:
    attack = sample(
        uri="/login?password=' or 1=1--",
        headers=(("User-Agent", "sqlmap/1.8 (https://sqlmap.org)"), ("X-Forwarded-For", "203.0.113.7")),
    )
    assert masked(attack, MASKER) is attack
