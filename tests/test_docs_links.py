"""Every link, anchor and file name in the pages leads somewhere, and so does every page that the source names."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
DOMAINS = ROOT / "shieldx" / "domains"
INDEX = ROOT / "docs" / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
SOURCES = sorted(
    path
    for folder in ("shieldx", "tests", "bench", "agents", "topics", "migrations", "examples")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".yaml", ".sql"} and path != Path(__file__)
)

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
PATH_IN_CODE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|sql|lock))`")
MENTION = re.compile(r"(?<![\w./-])(?:docs/[\w./-]+|README|CONTRIBUTING|SECURITY|CHANGELOG)\.(?:md|svg)\b")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def links_of(text: str) -> list[str]:
    """The targets of a page's links, without those in code and those with a scheme."""
    prose = CODE_SPAN.sub("", FENCE.sub("", text))
    return [target for target in LINK.findall(prose) + DEFINITION.findall(prose) if not ELSEWHERE.match(target)]


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings; a repeated one gets a number."""
    anchors: set[str] = set()
    seen: dict[str, int] = {}
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = seen.get(anchor, 0)
        seen[anchor] = number + 1
        anchors.add(f"{anchor}-{number}" if number else anchor)
    return anchors


def leads_somewhere(link: str, page: Path, text: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve()
    if path and not (target.is_relative_to(ROOT) and target.exists()):
        return False
    return not anchor or anchor in anchors_of(target.read_text(encoding="utf-8") if path else text)


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    return [link for link in links_of(text) if not leads_somewhere(link, page, text)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_the_index_leads_to_every_page_of_docs() -> None:
    named = {(INDEX.parent / link.partition("#")[0]).resolve() for link in links_of(INDEX.read_text(encoding="utf-8"))}
    decisions = INDEX.parent / "decisions"
    pages = {page for page in PAGES if page.is_relative_to(INDEX.parent) and page.parent != decisions} - {INDEX}
    assert sorted(map(name_of, pages - named)) == []
    assert decisions / "README.md" in named


def test_the_decisions_are_all_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = links_of((folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(page.name for page in folder.glob("*.md") if page.name not in {"README.md", *listed}) == []


def test_every_page_that_the_source_names_is_there() -> None:
    missing = {
        f"{name_of(source)}: {mention}"
        for source in SOURCES
        for mention in MENTION.findall(source.read_text(encoding="utf-8"))
        if not (ROOT / mention).exists()
    }
    assert sorted(missing) == []


def test_every_file_that_a_page_names_is_there() -> None:
    missing = {
        f"{name_of(page)}: {path}"
        for page in PAGES
        if page != ROOT / "docs/upstream.md"  # names files of other projects
        for path in PATH_IN_CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        if not ((ROOT / path).exists() or (ROOT / "shieldx" / path).exists() or (DOMAINS / path).exists())
    }
    assert sorted(missing) == []


def test_every_file_that_the_makefile_names_is_there() -> None:
    named = re.findall(r"(?:tests|docs|bench)/[\w./-]+\.\w+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert named != []
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[there](docs/README.md) and [here](#words)\n\n## Words", []),
        ("[gone](docs/gone.md)", ["docs/gone.md"]),
        ("[gone](#gone)\n\n## Words", ["#gone"]),
        ("[no such part](docs/README.md#gone)", ["docs/README.md#gone"]),
        ("[outside](../elsewhere.md)", ["../elsewhere.md"]),
        ("[by name][x]\n\n[x]: gone.md", ["gone.md"]),
        ("![picture](gone.svg)", ["gone.svg"]),
        ("```\n[in code](gone.md)\n```\n`[in code](gone.md)` [elsewhere](https://example.org/gone.md)", []),
        ("[second](#words-1)\n\n## Words\n\n## `Words`", []),
        ("[with a comma](#balance-statement)\n\n## balance, statement", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str, wrong: list[str]) -> None:
    assert broken(ROOT / "page.md", text) == wrong
