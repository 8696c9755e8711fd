"""Elements of a page. All text goes through here, so that none can be markup or obeyed, whoever chose it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Element", "element", "html", "style_element", "text_of"]

_NONE: Mapping[str, str] = {}


def element(tag: str, attributes: Mapping[str, str] = _NONE, *children: Element | str | None) -> Element:
    """An element with its texts and elements in order; None is left out."""
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
    """The page's style. HTML takes its content as it stands: never give it what a user chose."""
    made = Element("style")
    made.text = rules
    return made


def text_of(text: str) -> str:
    """A text without control characters, marks that turn the direction of writing, and the like: they are shown."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def html(head: Iterable[Element], body: Element) -> str:
    """A whole page in English."""
    page = Element("html", {"lang": "en"})
    SubElement(page, "head").extend(head)
    page.append(body)
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"
