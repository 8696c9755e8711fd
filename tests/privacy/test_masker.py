from __future__ import annotations

import pytest

from shieldx.privacy import WITHOUT_CLIENT, Category, mask
from shieldx.privacy.masker import Masker

EXAMPLES = [
    ("4532-1234-5678-9010", "****-****-****-9010"),
    ("card=4111111111111111.", "card=************1111."),
    ("3782 822463 10005", "**** ****** *0005"),
    ("4111.1111.1111.1111", "****.****.****.1111"),
    ("4111\u20131111\u20131111\u20131111", "****\u2013****\u2013****\u20131111"),
    ("4532\u00a01234\u00a05678\u00a09010", "****\u00a0****\u00a0****\u00a09010"),
    ("4532\u20111234\u20115678\u20119010", "****\u2011****\u2011****\u20119010"),
    (r"4532\u20131234\u20135678\u20139010", r"****\u2013****\u2013****\u20139010"),
    ("4111  1111  1111  1111", "****  ****  ****  1111"),
    ("4111111111111111.0,4111111111111111.50", "************1111.0,************1111.50"),
    ('{"pan":4111111111111111.0,"n":1}', '{"pan":"************1111.0","n":1}'),
    ("4111111111111111USD 4111111111111111CAD", "************1111USD ************1111CAD"),
    ("card4111111111111111", "card************1111"),
    ("4532 1234 5678 9010 1225", "**** **** **** 9010 1225"),
    ("5532 1234 5678 9010 12/25 123", "**** **** **** 9010 12/25 123"),
    ("%B4111111111111111^DOE/JOHN^26121011000?", "%B************1111^***^***?"),
    ("%25B4111111111111111%5EDOE%2FJOHN%5E2612101", "%25B************1111%5E***%5E***"),
    (";4111111111111111=26121011000?", ";************1111=***?"),
    (r"{\"n\":\"\n4111111111111111\"}", r"{\"n\":\"\n************1111\"}"),
    ("SSN 078-05-1120", "SSN ***-**-****"),
    ("user@email.com", "us***@email.com"),
    ("ab@email.com", "a***@email.com"),
    ("a@email.com", "***@email.com"),
    ("DE89 3704 0044 0532 0130 00", "DE** **** **** **** **30 00"),
    ("GB82WEST12345698765432", "GB****************5432"),
    ("+14155550123", "+*********23"),
    ("+1 (415) 555-0123", "+* (***) ***-**23"),
    ("from 203.0.113.7:443", "from 203.0.*.*:443"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:*"),
    ("[2001:db8::1]:443", "[2001:db8:*]:443"),
    ("::ffff:203.0.113.7", "::ffff:203.0.*.*"),
    ('"GET / HTTP/1.1" 200 "Mozilla/5.0 (X11; Linux)"', '"GET / HTTP/1.1" 200 "Mozilla/***"'),
    ("200 Mozilla/5.0 (X11; Linux) Gecko/20100101 /next", "200 Mozilla/*** /next"),
    ("User-Agent: curl/8.5.0 (linux)", "User-Agent: curl/***"),
    ('{"user_agent":"Firefox/1 (X)"}', '{"user_agent":"Firefox/***"}'),
    ("bearer abcdef123456", "bearer ***"),
    ("Authorization: Bearer abc def", "Authorization: ***"),
    ("Authorization: x\\r\\nHost: y", "Authorization: ***\\r\\nHost: y"),
    ('Authorization: Digest username="bob", opaque="", response="66"', "Authorization: ***"),
    (r'{"h":"Authorization: Digest username=\"bob\", response=\"66\"","n":1}', r'{"h":"Authorization: ***","n":1}'),
    ("-H 'Authorization: Digest username=\"bob\"' -v", "-H 'Authorization: ***' -v"),
    ('["Authorization: Basic YWxhZGRpbjpvcGVu=", "", 1]', '["Authorization: ***", "", 1]'),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJ***"),
    ("postgresql://app:pass@db/shieldx", "postgresql://***@db/shieldx"),
    ("https://u:p@ss@host/a@b", "https://***@host/a@b"),
    ("/login?token=abc&next=/", "/login?token=***&next=/"),
    ('{"password": "a b\\"c", "n": 1}', '{"password": "***", "n": 1}'),
    ('{"pin": 1234, "token": null}', '{"pin": "***", "token": null}'),
    ('{"Cookie": ["a=1", "b=2"]}', '{"Cookie": ["***", "***"]}'),
    ('{"password":{"old":"a b","new":7},"n":1}', '{"password":{"old":"***","new":"***"},"n":1}'),
    ('{"secret":[["a","b"],{"c":null}],"n":1}', '{"secret":[["***","***"],{"c":null}],"n":1}'),
    ('{"secrets":{"user@email.com":["x"]}}', '{"secrets":{"***":["***"]}}'),
    (r'{"m":"{\"api_keys\":{\"a\":\"b\"},\"n\":1}"}', r'{"m":"{\"api_keys\":{\"a\":\"***\"},\"n\":1}"}'),
    ("passwords={'a': 'x'}, n=1", "passwords={'a': '***'}, n=1"),
    ('{"tokens": ["abc", 7]}', '{"tokens": ["***", 7]}'),
    (r'{"body":"{\"secret\":\"v\\\"w\",\"n\":1}"}', r'{"body":"{\"secret\":\"***\",\"n\":1}"}'),
    ("Settings(db_password='x', n=1)", "Settings(db_password='***', n=1)"),
    ("--password hunter2 -v", "--password *** -v"),
    ("<password>abc</password>", "<password>***</password>"),
    ("q=user%40email.com&n=1", "q=us***%40email.com&n=1"),
    ("4111%201111%201111%201111", "****%20****%20****%201111"),
    ("%7B%22password%22%3A+%22a%22%7D", "%7B%22password%22%3A+%22***%22%7D"),
    ("<td>user&#64;email.com</td>", "<td>us***&#64;email.com</td>"),
    ("&quot;password&quot;:&quot;a b&quot;", "&quot;password&quot;:&quot;***&quot;"),
    ("eyJwYXNzd29yZCI6ImFiYyJ9", "eyJwYXNzd29yZCI6IioqKiJ9"),
]


@pytest.mark.parametrize(("text", "masked"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_personal_data_and_secrets_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1732270000000",
        "2026-12-01 16:02:11,123 INFO fetched 812 records",
        "550e8400-e29b-41d4-a716-446655440000",
        "0.4532123456789012",
        "0x4111111111111111 deadbeef4111111111111111 4111111111111111f",
        "4532 1234 5678 9010 1300",
        "4111.1111.1111.1111.0",
        "127.0.0.1:9092 0.0.0.0 ::1 [::]:80",
        "std::string a::b crate::de::Error",
        "1.3.6.1.4.1.311",
        "basic configuration, bearer authentication",
        "max_tokens: 5, tokens=7",
        '{"total_tokens": 812, "tokens": {"prompt": 7}, "api_keys": 3}',
        "--max-tokens 5",
        "Mozilla/5.0 is common",
        "sk-fading-circle-with-a-long-name",
        "user@localhost",
        "GB82WEST12345698765433",
    ],
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert mask(text) == text


def test_a_masker_masks_the_categories_that_it_is_given() -> None:
    text = "203.0.113.7 user@email.com"
    assert Masker(categories={Category.EMAIL}).mask(text) == "203.0.113.7 us***@email.com"
    assert Masker(categories=WITHOUT_CLIENT).mask(text) == "203.0.113.7 us***@email.com"
    assert Masker(categories=()).mask(text) == text


def test_a_large_text_is_masked_as_its_bytes() -> None:
    lines = "".join(f"{number} é user@email.com\n" for number in range(10_000)) + "x" * 100_000 + " user@email.com"
    assert mask(lines).encode() == Masker().mask_bytes(lines.encode())
    assert mask("nothing here\n" * 10_000) == "nothing here\n" * 10_000


def test_bytes_that_are_no_text_stay() -> None:
    assert Masker().mask_bytes(b"\xff\xfe user@email.com \x00") == b"\xff\xfe us***@email.com \x00"
