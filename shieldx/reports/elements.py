"""Page elements. All text is escaped here, so that no text can act as markup, whatever its source."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Element", "element", "html", "style_element", "text_of"]

_NONE: Mapping[str, str] = {}


def element(tag: str, attributes: Mapping[str, str] = _NONE, *children: Element | str | None) -> Element:
    """An element with its texts and child elements in order; None is skipped."""
    made = Element(tag, {name: text_of(value) for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + text_of(child)
            else:
                last.tail = (last.tail or "") + text_of(child)
        elif child is not None:
            made.append(child)
            last = child
    return made


def style_element(rules: str) -> Element:
    """The page's style. HTML does not escape its content: never pass user input here."""
    made = Element("style")
    made.text = rules
    return made


def text_of(text: str) -> str:
    """The text with control characters, bidirectional marks and similar characters replaced by visible ones."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def html(head: Iterable[Element], body: Element) -> str:
    """A complete page in English."""
    page = Element("html", {"lang": "en"})
    SubElement(page, "head").extend(head)
    page.append(body)
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"
