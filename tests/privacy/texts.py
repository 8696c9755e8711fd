"""Texts that tests mask: card numbers of every brand, what only looks like them, and texts from fragments."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from stdnum import luhn

from shieldx.privacy.cards import BRANDS, prefixes

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

SEPARATORS = ("", " ", "-", ".")
GROUPS = {13: (4, 4, 4, 1), 14: (4, 6, 4), 15: (4, 6, 5), 19: (4, 4, 4, 4, 3)}
AROUND = (("", ""), ("card ", " ok"), ("pan=", ";"), ('{"pan":"', '"}'), ("(", ")"), ("<b>", "</b>"), ("\\n", "\\n"))


def card_numbers(chosen: random.Random, count: int) -> Iterator[tuple[str, str]]:
    """Numbers without and with separators: every brand, prefix, length and separator in turn, other digits random."""
    kinds = [(prefix, length) for brand in BRANDS for prefix in prefixes(brand) for length in sorted(brand.lengths)]
    for number in range(count):
        prefix, length = kinds[number % len(kinds)]
        body = prefix + "".join(chosen.choices("0123456789", k=length - len(prefix) - 1))
        digits = body + luhn.calc_check_digit(body)
        yield digits, grouped(digits, chosen.choice(SEPARATORS))


def grouped(digits: str, separator: str) -> str:
    groups, at = [], 0
    for size in GROUPS.get(len(digits), (4,) * 5):
        groups.append(digits[at : at + size])
        at += size
    return separator.join(group for group in groups if group)


def timestamps(chosen: random.Random, count: int) -> Iterator[str]:
    """Seconds, milliseconds, microseconds and nanoseconds since 1970, and ISO 8601, of the years 2001 to 2033."""
    for number in range(count):
        seconds = chosen.uniform(10**9, 2 * 10**9)
        moment = datetime.fromtimestamp(seconds, UTC)
        yield (
            str(int(seconds)),
            str(int(seconds * 1e3)),
            str(int(seconds * 1e6)),
            str(int(seconds) * 10**9 + chosen.randrange(10**9)),
            moment.isoformat(),
            moment.strftime("%Y-%m-%d %H:%M:%S,%f"),
            moment.strftime("%Y%m%d%H%M%S"),
            moment.strftime("%Y%m%d%H%M%S%f"),
        )[number % 8]


def uuids(chosen: random.Random, count: int) -> Iterator[str]:
    for number in range(count):
        made = uuid.UUID(int=chosen.getrandbits(128), version=4)
        yield made.hex if number % 4 == 0 else str(made)


def hashes(chosen: random.Random, count: int) -> Iterator[str]:
    """MD5, SHA-1 and SHA-256 in hexadecimal."""
    for number in range(count):
        yield chosen.randbytes((16, 20, 32)[number % 3]).hex()


def order_numbers(chosen: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield str(chosen.randrange(10**16)).zfill(16)


FRAGMENTS = [
    *("4111111111111111", "4532-1234-5678-9010", "4111 1111 1111 1111", "378282246310005", "3056 930902 5904"),
    *("078-05-1120", "+1 415 555 0123", "+14155550123", "user@email.com", "ab@x.org", "DE89 3704 0044 0532 0130 00"),
    *("203.0.113.7", "127.0.0.1", "2001:db8::1", "::1", "::ffff:203.0.113.7", '"Mozilla/5.0 (X11)"'),
    *("User-Agent: curl/8", "user_agent=", '"user-agent":"a/1 b"', "Bearer abc123def456", "Authorization: "),
    *("Basic dXNlcjpwYXNz", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def", "AKIAIOSFODNN7EXAMPLE"),
    *("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "sk-proj-abcdefghijklmnop1234567890"),
    *("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "MIIEabcdabcdabcdabcdabcdabcd", "abc="),
    *("https://u:p@h/", "://", "@", "password", "token=", "secret: ", '"password": ', '"x"', "'y'", '\\"'),
    *("[", "]", "{", "}", ",", ":", "=", "?", "&", "%40", "%20", "%22", "%3D", "%", "&#64;", "&quot;", "&nbsp;"),
    *("eyJwYXNzd29yZCI6ImFiYyIsImNhcmQiOiI0MTExMTExMTExMTExMTExIn0=", "dXNlckBlbWFpbC5jb20gYW5kIG90aGVycw=="),
    *(
        "***",
        "*",
        "****-****-",
        "-",
        " ",
        "  ",
        "\n",
        "\r\n",
        ".",
        "_",
        "/",
        "\\",
        "\\n",
        "\\u00a0",
        "+",
        "é",
        "\ud800",
    ),
    *(
        "4111\u20131111\u20131111\u20131111",
        "4532 1234 5678 9010",
        "4111111111111111.0",
        "4111111111111111",
        "USD",
        "card",
    ),
    *(
        "%B4111111111111111^DOE/JOHN^2612101?",
        ";4111111111111111=2612101?",
        " 1225",
        "passwords",
        '"tokens": ',
        "[[",
        "{",
    ),
    *("Authorization: Digest a=", '"b", ', "Mozilla/5.0 (X11) Gecko/1"),
    *("1", "23", "4", "5555", "12345678", "abc", "<password>", "</", "--password ", "null"),
]
"""Parts of what is masked, and what stands between them."""
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=12).map("".join)
