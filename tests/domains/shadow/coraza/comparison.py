"""A request as Coraza and ShieldX read it, and all values that only one of them has."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from shieldx.domains.shadow.matching.parts import TARGETS, ParsedRequest
from shieldx.domains.shadow.sample import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.domains.shadow.coraza.coraza_reader import Pair, Seen

DERIVED: Final = frozenset(target for target in TARGETS if target.endswith("_names")) | {"args"}
"""Names of values that are compared, and unions of them."""
NAMED: Final = frozenset({"headers", "cookies", "query_args", "body_args"})
"""Targets whose names are compared too. Of the others, Coraza has no names or others."""
OF_BODY: Final = frozenset({"body_args", "files", "file_fields", "multipart_headers", "xml", "xml_attributes"})
CONTENT_TYPES: Final = {
    "URLENCODED": "application/x-www-form-urlencoded",
    "JSON": "application/json",
    "XML": "application/xml",
}


class Case:
    """A request, what Coraza sees of it, and what ShieldX reads."""

    def __init__(self, request: Request, coraza: Seen) -> None:
        self.request = request
        self.coraza = coraza
        self.parsed = ParsedRequest(request)

    @cached_property
    def alike(self) -> ParsedRequest:
        """What ShieldX reads if it has the body and the Content-Type with which Coraza reads."""
        content_type = CONTENT_TYPES.get(self.coraza.processor)
        if self.coraza.processor == "MULTIPART":
            content_type = next(iter(self.content_types))
        headers = () if content_type is None else (("Content-Type", content_type),)
        return ParsedRequest(Request(uri=self.request.uri, headers=headers, body=self.coraza.body))

    def of_coraza(self, target: str) -> list[bytes]:
        """The values that Coraza sees."""
        return [value for _, value in self.coraza.values.get(target, ())]

    def of_shieldx(self, *targets: str) -> list[bytes]:
        """The values that ShieldX reads."""
        return [value for target in targets for _, value in self.parsed.values(target)]

    def only(self, target: str) -> tuple[bytes, bytes]:
        """The only value of a target to Coraza and to ShieldX; empty if there is none."""
        (coraza,), (shieldx,) = self.of_coraza(target) or [b""], self.of_shieldx(target) or [b""]
        return coraza, shieldx

    @property
    def content_types(self) -> list[str]:
        """All of them, in their order."""
        return [value for name, value in self.request.headers if name.lower() == "content-type"]

    @property
    def is_chunked(self) -> bool:
        """Whether the body is sent in chunks."""
        return any(name.lower() == "transfer-encoding" for name, _ in self.request.headers)


class Item(NamedTuple):
    """A value that only one of them has."""

    by: Literal["coraza", "shieldx"]
    target: str
    pair: Pair

    @property
    def value(self) -> bytes:
        """Without its name."""
        return self.pair[1]


def items_of(case: Case) -> Iterator[Item]:
    """All values that only one of them has."""
    for target in TARGETS:
        if target in DERIVED:
            continue
        coraza, shieldx = (
            counted(target, pairs) for pairs in (case.coraza.values.get(target, ()), case.parsed.values(target))
        )
        yield from (Item("coraza", target, pair) for pair in (coraza - shieldx).elements())
        yield from (Item("shieldx", target, pair) for pair in (shieldx - coraza).elements())


def counted(target: str, pairs: Iterable[Pair]) -> Counter[Pair]:
    counted = Counter(pair if target in NAMED else (b"", pair[1]) for pair in pairs)
    return Counter(counted.keys()) if target == "file_fields" else counted  # each once in ShieldX
