"""Hides the content of PEM blocks: keys and certificates, in one line or over many."""

from __future__ import annotations

import re

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import MASK, Detector, Finding, found

BEGIN = b"-----BEGIN "
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,64}-----")
_BEGIN_OF_LINES = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,64}-----\s*\Z")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_CONTENT = re.compile(rb"(?:[A-Za-z0-9+/=]{16,}|\*\*\*)\Z")
_SHORT = re.compile(rb"[A-Za-z0-9+/=]{1,15}\Z")
_HEADER = re.compile(rb"(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|MessageID): ")
_MOST_SHORT_LINES = 2
"""The last line of a block, and the checksum of OpenPGP."""
_LINE_ENDS = rb"(?:[ \t\r]|\\{1,8}[nr])"
_IN_ONE_LINE = re.compile(
    _BEGIN.pattern + _LINE_ENDS + rb"*(?P<content>(?:[A-Za-z0-9+/=:, \t\r*]|\\{1,8}[nr]|-(?!-))*)"
)
_CONTENT_FRAME = re.compile(_LINE_ENDS + rb"+\Z")
_IS_KEY = re.compile(rb"[A-Za-z0-9+/=]{16}")


def look(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    r"""The content of a block in one line, as JSON and the environment hold it: `\n` or a space for each line end."""
    del end, floor
    block = _IN_ONE_LINE.match(text, start)
    if block is None:
        return None
    content = _CONTENT_FRAME.sub(b"", block.group("content"))
    if not _IS_KEY.search(content):
        return Finding((), block.start("content"))
    return found(block.start("content"), block.start("content") + len(content))


class PemBodies:
    """Replaces the lines between BEGIN and END by one `***`, in text that comes in whole lines.

    A block that breaks off ends at the first line that cannot be part of it.
    """

    def __init__(self) -> None:
        self._inside = False
        self._shown = False
        self._owes_line_end = False
        self._short_lines = 0

    def mask(self, lines: bytes) -> bytes:
        """The lines without the content of blocks. The last one may lack its line end."""
        if not self._inside and BEGIN not in lines:
            return lines
        return b"".join(self._masked(line) for line in _LINE.findall(lines))

    def _masked(self, line: bytes) -> bytes:
        if self._inside:
            if self._is_content(line.strip()):
                return self._placeholder(line)
            self._inside = False
        if _BEGIN_OF_LINES.search(line):
            self._inside, self._shown, self._owes_line_end, self._short_lines = True, False, False, 0
        return line

    def _is_content(self, line: bytes) -> bool:
        if _SHORT.match(line):
            self._short_lines += 1
        return (
            not line
            or bool(_CONTENT.match(line) or _HEADER.match(line))
            or (bool(_SHORT.match(line)) and self._short_lines <= _MOST_SHORT_LINES)
        )

    def _placeholder(self, line: bytes) -> bytes:
        line_end = line[len(line.rstrip(b"\r\n")) :]
        if self._shown:
            shown, self._owes_line_end = (
                (line_end if self._owes_line_end else b""),
                self._owes_line_end and not line_end,
            )
            return shown
        if not line.strip():
            return line
        self._shown, self._owes_line_end = True, not line_end
        return line[: len(line) - len(line.lstrip())] + MASK + line_end


DETECTOR = Detector(Category.PEM, BEGIN, look)
