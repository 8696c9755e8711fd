"""XML: Coraza reads it with Go's encoding/xml in its lenient mode."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from tests.domains.shadow.coraza.comparison import Case, Item


def is_one_value(case: Case, item: Item) -> bool:
    if item.target != "xml":
        return False
    coraza, shieldx = (without_spaces(b"".join(of("xml"))) for of in (case.of_coraza, case.of_shieldx))
    return coraza == shieldx if item.by == "shieldx" else without_spaces(item.value) in shieldx


def without_spaces(text: bytes) -> str:
    """Without those of Unicode and byte order marks, which Go removes from ends of text."""
    return "".join(text.decode("utf-8", "surrogateescape").replace("\ufeff", "").split())


def attribute_spaces_differ(case: Case, item: Item) -> bool:
    if item.target != "xml_attributes":
        return False
    others = case.of_shieldx(item.target) if item.by == "coraza" else case.of_coraza(item.target)
    return item.value.split() in [other.split() for other in others]


def are_declarations(case: Case, item: Item) -> bool:
    return item.target == "xml" and adds_text(case, item) and b"<!doctype" in case.coraza.body.lower()


def goes_on(case: Case, item: Item) -> bool:
    if item.target == "xml_attributes":
        return item.by == "shieldx" and has_error(case)
    return item.target == "xml" and adds_text(case, item) and has_error(case)


def adds_text(case: Case, item: Item) -> bool:
    """Whether ShieldX reads all texts that Coraza sees, in their order, and more."""
    if item.by == "coraza":
        return False
    rest = without_spaces(item.value)
    for text in filter(None, map(without_spaces, case.of_coraza("xml"))):
        _, found, rest = rest.partition(text)
        if not found:
            return False
    return True


def has_error(case: Case) -> bool:
    """Coraza is silent about a document that merely lacks its end."""
    if case.coraza.error:
        return True
    try:
        expat.ParserCreate().Parse(case.coraza.body, True)
    except (expat.ExpatError, LookupError, ValueError):
        return True
    return False
