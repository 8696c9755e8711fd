"""Values of a body that is not JSON, but that a tolerant server may take for JSON."""

from __future__ import annotations

import re
from typing import Final

from shieldx.domains.shadow.matching import json_names
from shieldx.domains.shadow.matching.json_strings import StringDecoder
from shieldx.domains.shadow.matching.urlencoded import MAX_ARGUMENTS

MAX_PIECES: Final = 30_000
"""Maximum number of strings, brackets and other pieces: each costs up to 1.5 µs. The rest becomes one value."""

_BEGINNINGS: Final = (b"{", b"[", b'"')
_BLANKS: Final = bytes(range(0x21))
_SEPARATORS: Final = _BLANKS + b",:"
_BLANK: Final = rb"[\x00-\x20,:]*+"
_BRACKET_OR_STRING: Final = rb'([{\[])|([}\]])|"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"([\x00-\x20]*+:)?+|\\?+\Z)'
_WORDS: Final = rb'([^,{}\[\]"]++)(?:"(?=[\x00-\x20]*+[,:}\]]))?+'
_KEY_OR_VALUE: Final = re.compile(
    _BLANK + rb"(?:" + _BRACKET_OR_STRING + rb'|([^\x00-\x20,:{}\[\]"]++)"?+[\x00-\x20]*+:|' + _WORDS + rb")", re.DOTALL
)
_VALUE: Final = re.compile(_BLANK + rb"(?:" + _BRACKET_OR_STRING + rb"|(never(?!))|" + _WORDS + rb")", re.DOTALL)
"""With the same groups, but words are no key, so that `http://host` stays one value."""


def read_loosely(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of everything, in order; an array or object is a value only if it is empty.

    It does not stop at an error: a string may lack a quote and a container its bracket, commas and colons may be
    missing or too many, values may be words, and more may follow the end. A body that does not even begin as JSON is a
    single value, `json`, and so is what follows the last separate piece.
    """
    if not body.lstrip(_BLANKS).startswith(_BEGINNINGS):
        return [(json_names.ROOT, body)] if body else []
    return _Reader().read(body)


class _Container:
    """An open array or object, or the whole body."""

    __slots__ = ("is_empty", "items", "key", "name")

    def __init__(self, name: bytes, items: int | None) -> None:
        self.name = name
        self.is_empty = True
        self.items = items
        """How many items an array has so far; none for an object."""
        self.key: bytes | None = None
        """The key of an object whose value comes next."""

    def next_name(self) -> bytes:
        """The name of the next value."""
        self.is_empty = False
        if self.items is not None:
            self.items += 1
            return json_names.ITEM % (self.name, self.items - 1)
        key, self.key = self.key, None
        return self.name if key is None else json_names.MEMBER % (self.name, key or json_names.EMPTY_KEY)


class _Reader:
    """The values of one body."""

    def __init__(self) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        self._containers = [_Container(json_names.ROOT, None)]
        self._strings = StringDecoder()

    def read(self, body: bytes) -> list[tuple[bytes, bytes]]:
        position = 0
        for _ in range(MAX_PIECES):
            last = self._containers[-1]
            expected = _KEY_OR_VALUE if last.items is None and last.key is None else _VALUE
            found = expected.match(body, position)
            if found is None or len(self._pairs) >= MAX_ARGUMENTS:
                break
            self._take(found, last)
            position = found.end()
        self._end_container()
        if rest := body[position:].strip(_SEPARATORS):
            self._pairs.append((json_names.ROOT, rest))
        return self._pairs

    def _add(self, value: bytes) -> None:
        self._pairs.append((self._containers[-1].next_name(), value))

    def _take(self, found: re.Match[bytes], last: _Container) -> None:
        opening, closing, string, colon, key, words = found.groups()
        if opening is not None:
            self._open(last.next_name(), None if opening == b"{" else 0)
        elif closing is not None:
            self._end_container()
        elif string is not None:
            text = self._strings.decode(string)
            is_key = colon is not None and last.items is None
            if not is_key or last.key is not None:
                self._add(text)
            if is_key:
                last.key = text
        elif key is not None:
            last.key = key
        else:
            self._add(b"" if (word := words.rstrip()) == b"null" else word)

    def _end_container(self) -> None:
        last = self._containers[-1]
        if last.key is not None:
            self._add(b"")
        elif last.is_empty and len(self._containers) > 1:
            self._pairs.append((last.name, b""))
        if len(self._containers) > 1:
            self._containers.pop()

    def _open(self, name: bytes, items: int | None) -> None:
        if json_names.is_cut(name):
            self._pairs.append((name, b""))  # once without its value, so that the key itself is checked
        self._containers.append(_Container(name[: json_names.MAX_PATH_BYTES], items))
