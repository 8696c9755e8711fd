"""Generated requests to a shop, including attacks, and the rule that is measured on them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from shieldx.domains.shadow.rule import Signature
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import arranged

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = (
    *("shoes", "blue", "order", "price", "select", "size", "union", "winter", "from", "table", "report", "lamp"),
    *("garden", "where", "chair", "return", "gift", "wood", "steel", "update", "kitchen", "drop", "glass", "paper"),
)
INJECTIONS = (
    "1' UNION ALL SELECT name, password FROM users--",
    "1 or 1=1; DROP TABLE orders",
    "x' AND sleep(5)='",
    "-1 union select null,version()--",
)
SHARE_OF_ATTACKS = 0.3
SHARE_OF_POSTS = 0.4
PATTERN = (
    r"(?i)\bunion\b.{1,40}?\bselect\b|\bselect\b.{1,60}?\bfrom\b.{1,40}?\bwhere\b|;\s*drop\s+table\b"
    r"|\b(?:sleep|benchmark|pg_sleep)\s*\(\s*\d|'\s*(?:or|and)\s*'?\d+'?\s*=\s*'?\d"
)


def made_samples(count: int, seed: int = 1) -> list[Sample]:
    """`count` arranged samples, the same for the same seed. A third are attacks, most of which the rule finds."""
    random = Random(seed)  # noqa: S311 - no secret
    return arranged(_sample(random, number) for number in range(count))


def rule(number: int) -> Signature:
    """The rule. Each number gives a different rule that takes as long, so that no report answers for two of them."""
    return Signature(pattern=f"{PATTERN}|#{number}#")


def rules() -> Iterator[Signature]:
    """Distinct rules."""
    number = 0
    while True:
        yield rule(number)
        number += 1


def _sample(random: Random, number: int) -> Sample:
    attack = random.random() < SHARE_OF_ATTACKS
    text = "+".join(random.choices(WORDS, k=random.randint(1, 12)))
    if attack:
        text += "+" + random.choice(INJECTIONS).replace(" ", "+").replace("=", "%3D")
    fields = f"q={text}&page={random.randint(1, 99)}&sort={random.choice(WORDS)}&ref={random.getrandbits(64):x}"
    posted = random.random() < SHARE_OF_POSTS
    headers = [
        ("Host", "shop.example"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Cookie", f"session={random.getrandbits(128):x}; seen={random.choice(WORDS)}"),
    ]
    if posted:
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    path = f"/shop/{random.choice(WORDS)}/{number}"
    return Sample(
        label="attack" if attack else "benign",
        category="sqli" if attack else random.choice(("search", "browse")),
        source=f"made#{number}",
        request=Request(
            method="POST" if posted else "GET",
            uri=path if posted else f"{path}?{fields}",
            headers=tuple(headers),
            body=fields.encode() if posted else b"",
        ),
    )
