"""`python -m bench.shadow_hostile [--quick]`: prints a table of the cost of hostile patterns on hostile values.

Times are CPU times, which depend less on other programs. Each case compiles its pattern again, because an automaton
built for an earlier value would make the next one cheap.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import click
import re2

from shieldx.domains.shadow.matching.matcher import UnusableRule, compile_rule
from shieldx.domains.shadow.matching.parts import ParsedRequest
from shieldx.domains.shadow.rule import Keywords, Signature
from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_MS = 50
SHORT_BYTES = 60_000
LENGTHS = (1_000, 5_000, 20_000, 60_000, 200_000, MAX_BODY_BYTES)
"""The worst length is in between: short values build automata, and long ones end in the slower search."""

PATTERNS = {
    "(a+)+$": r"(a+)+$",
    "(a+)+b": r"(a+)+b",
    "(a|aa)+$": r"^(a|aa)+$",
    "(.*a){20}": r"(?s)(?:.*a){20}#",
    "a{0,1000}b": r"a{0,1000}b",
    "(x{0,30}){0,30}y": r"(?:x{0,30}){0,30}y",
    "(x{0,10}){10}){9}": r"(?:(?:(?:[ab]{0,10}){0,10}){0,9})#",
    "a?^30 a^30": "a?" * 30 + "a" * 30 + "#",
    "(a|b)*a(a|b){12}": r"(?:a|b)*a(?:a|b){12}c",
    "(a|b)*a(a|b){16}": r"(?:a|b)*a(?:a|b){16}c",
    "(a|b)*a(a|b){20}": r"(?:a|b)*a(?:a|b){20}c",
    "(a|b)*a(a|b){24}": r"(?:a|b)*a(?:a|b){24}c",
    "a.{50}": r"(?s)a.{50}#",
    "a.{200}": r"(?s)a.{200}#",
    "a.{900}": r"(?s)a.{900}#",
    "[^c].{900}": r"(?s)[^c].{900}#c",
    "three [^x].{900}": r"(?s)(?:[^a].{900}|[^b].{900}|[^c].{900})#",
    "(.?){60}a(.?){400}": r"(?s)(?:.?){60}a(?:.?){400}#",
    "([ab]?){400}|a[ab]{800}": r"(?:[ab]?){400}c[ab]{100}#|a[ab]{800}#",
    "nested counts": r"(?:(?:a[ab]{0,100}|b[ab]{0,70}|aa[ab]{3,99}){1,3}){1,2}#",
    "59 x a.{k}": "(?s)" + "|".join(f"a.{{{count}}}#" for count in range(1, 60)),
    "25 long words": "|".join("[ab]" * k + "a" + "[ab]" * (24 - k) + "#" for k in range(25)),
    "8 x a.{990}": "(?s)" + "|".join(f"[^{c}].{{990}}#" for c in "abcdefgh"),
    "too large": "(?s)" + "|".join(f"[^{c}].{{990}}#" for c in "abcdefghijkl"),
    "(a)\\1": r"(a*)\1b",
    "a(?=b)": r"(?=(a+))b",
    "a++": r"a++b",
}


class Measured(NamedTuple):
    """The slowest of a rule's cases."""

    reach_bytes: int
    worst_ms: float
    worst_on: str


def values(length: int) -> Iterator[tuple[str, bytes]]:
    """What a hostile client sends: values of `length` bytes, the same in every run."""
    source = random.Random(20)  # noqa: S311  # not for secrets
    yield "a", b"a" * length
    yield "NUL", b"\0" * length
    yield "invalid UTF-8", b"\xc3\xff\xfe\xed\xa0\x80"[:6] * (length // 6)
    yield "a or b", bytes(source.choices(b"ab", k=length))
    yield "a to h", bytes(source.choices(b"abcdefgh", k=length))
    yield "random bytes", source.randbytes(length)


def rules(*, quick: bool) -> Iterator[tuple[str, Signature | Keywords]]:
    """Patterns, and keywords with long common prefixes."""
    for name, pattern in PATTERNS.items():
        yield name, Signature(pattern=pattern, targets=("body",), transformations=())
    source = random.Random(21)  # noqa: S311  # not for secrets
    for count in (10, 1_000) if quick else (10, 1_000, 10_000):
        for alphabet, size in (("ab", 18), ("abcdefgh", 12)):
            words = tuple({"".join(source.choices(alphabet, k=size)) + "#" for _ in range(count)})
            yield f"{count:,} keywords of {alphabet}", Keywords(keywords=words, targets=("body",), transformations=())
    chain = tuple("a" * length + "b#" for length in range(1, 120))
    yield "keywords a…ab#", Keywords(keywords=chain, targets=("body",), transformations=(), whole_words=True)


def measure(rule: Signature | Keywords, lengths: tuple[int, ...]) -> Measured:
    """The slowest case of a rule. Raises `UnusableRule`."""
    worst = Measured(0, 0.0, "")
    for length in lengths:
        for kind, value in values(length):
            re2.purge()
            compiled = compile_rule(rule)
            parsed = ParsedRequest(Request(body=value))
            started = time.thread_time()
            compiled.judge(parsed)
            took_ms = (time.thread_time() - started) * 1e3
            if took_ms > worst.worst_ms:
                worst = Measured(compiled.reach_bytes, took_ms, f"{length:,} bytes: {kind}")
    return worst


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two lengths and fewer keywords")
    quick = parser.parse_args().quick
    lengths = (SHORT_BYTES, MAX_BODY_BYTES) if quick else LENGTHS
    click.echo("| pattern | looks at, bytes | worst, ms | on |\n|---|---|---|---|")
    slow = 0
    for name, rule in rules(quick=quick):
        cell = name.replace("|", "\\|")
        try:
            measured = measure(rule, lengths)
        except UnusableRule as unusable:
            click.echo(f"| `{cell}` | none | refused | {unusable} |")
            continue
        slow += measured.worst_ms > LIMIT_MS
        click.echo(f"| `{cell}` | {measured.reach_bytes:,} | {measured.worst_ms:.1f} | {measured.worst_on} |")
    click.echo(f"\n{slow} of them took longer than {LIMIT_MS} ms.")


if __name__ == "__main__":
    main()
