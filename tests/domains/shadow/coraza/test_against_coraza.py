"""ShieldX reads requests as Coraza 3 does, but for the differences that the documentation explains."""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import click
import pytest

from shieldx.domains.shadow.sample import Request, Sample
from shieldx.importers.go_ftw import import_go_ftw
from shieldx.importers.gotestwaf import import_gotestwaf
from tests.domains.shadow.coraza.comparison import Case, items_of
from tests.domains.shadow.coraza.coraza_reader import build, read
from tests.domains.shadow.coraza.differences import DIFFERENCES, explanation
from tests.domains.shadow.coraza.mutated_requests import mutated
from tests.lengths import length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[4]
DATA = ROOT / "../shared/data"
PAGE = (ROOT / "docs/reference/request-reading.md").read_text(encoding="utf-8")
MUTATED = length(short=2_000, soak=200_000)
AT_A_TIME = 10_000
NEW_SEED = Random().getrandbits(32)  # noqa: S311 - no secret
SEED = int(os.environ.get("CORAZA_SEED") or length(short=13, soak=NEW_SEED))

pytestmark = pytest.mark.timeout(900)  # the first time, Go compiles Coraza


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("coraza"))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    if not (DATA / "crs").is_dir():
        pytest.skip("needs the Core Rule Set's tests and gotestwaf's cases in ../shared/data next to the checkout")
    found = (*import_go_ftw(DATA / "crs/tests"), *import_gotestwaf(DATA / "gotestwaf/testcases"))
    return [sample for sample in found if isinstance(sample, Sample)]


def with_fingerprints() -> Iterator[Request]:
    """Requests with what recog knows servers by: cookies, and values of headers."""
    for file in sorted((DATA / "recog").glob("*.xml")):
        for example in ET.parse(file).iter("example"):  # noqa: S314 - trusted test data
            text = example.text or ""
            yield Request(uri=f"/?{text}", headers=(("Cookie", text), ("X-Example", text)))


def compared(program: Path, requests: Iterable[Request]) -> Counter[str]:
    """How often each difference occurs. Fails with the first that has no explanation."""
    found: Counter[str] = Counter()
    waiting = iter(requests)
    while batch := list(islice(waiting, AT_A_TIME)):
        for request, seen in zip(batch, read(program, batch), strict=True):
            case = Case(request, seen)
            for item in items_of(case):
                name = explanation(case, item)
                if name is None:
                    pytest.fail(f"only {item.by} reads this of {item.target}: {item.pair}\nin {request}\n{seen}")
                found[name] += 1
    return found


def report(what: str, found: Counter[str]) -> None:
    click.echo(f"{what}: " + ", ".join(f"{name} {count:,}" for name, count in sorted(found.items())))


def test_real_requests_are_read_alike(program: Path, samples: list[Sample]) -> None:
    report("real requests", compared(program, (sample.request for sample in samples)))
    report("fingerprints", compared(program, with_fingerprints()))


@pytest.mark.soak
def test_mutated_requests_are_read_alike(program: Path, samples: list[Sample]) -> None:
    click.echo(f"CORAZA_SEED={SEED}")
    report("mutated requests", compared(program, islice(mutated(samples, Random(SEED)), MUTATED)))  # noqa: S311 - no secret


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_explained_difference_exists(program: Path, name: str) -> None:
    assert name in compared(program, [DIFFERENCES[name].example])


def test_exactly_these_differences_are_documented() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == list(DIFFERENCES)
