"""Finds values by the name in front of them: JSON keys, headers, query parameters, options and XML elements."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import MASK, Detector, Edit, Finding
from shieldx.privacy.user_agents import masked_user_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECRET_NAMES = (
    "access key",
    "access token",
    "account key",
    "api key",
    "authorization",
    "client secret",
    "connection string",
    "cookie",
    "credentials",
    "encryption key",
    "id token",
    "passphrase",
    "passwd",
    "password",
    "private key",
    "pwd",
    "refresh token",
    "secret",
    "secret key",
    "session id",
    "shared access key",
    "signing key",
    "social security number",
    "token",
    "x-amz-signature",
)
"""In any case, with `_`, `-` or nothing for a space, and as the end of a longer name: `db_password`."""
_PLURALS = re.compile(r"(?:cookie|key|passphrase|password|passwd|secret|token)\Z")
"""Names that have a plural. A number after one is a count, as in `max_tokens: 5`, and stays."""
_COUNTS = re.compile(rb"(?i)(?:cookie|key|passphrase|password|passwd|secret|token)s\Z")
_COUNT = re.compile(rb"-?\d{1,12}(?:\.\d+)?(?![\w+\-/=]|\.\w)")
WHOLE_NAMES = ("cvc", "cvv", "cvv2", "otp", "pin", "sig", "ssn")
"""Names that count only as whole words."""
_USER_AGENT = rb"user[_\- ]?agent"
_HEADER = re.compile(rb"(?i)(?:authorization|cookie|user.?agent)\Z")
_HEADER_VALUE = re.compile(
    rb"(?:[^\"'\\\r\n]"
    rb"|(?<==)(\\*)\"[^\",:\s}\]\\][^\"\\\r\n]*\1\"(?=[ \t]*(?:[,;\r\n\\\"']|\Z))"  # a parameter, as of Digest
    rb"|(?<==)(\\*)\"\2\"(?=[ \t]*(?:,[ \t]*[\w\-]+=|[\r\n]|\Z)))+"
)
_BARE_VALUE = re.compile(rb"(?:[^\s&\"'<>;,)\]}\\]|[,)\]}][^\s&\"'<>;,)\]}\\]|\\[^nrt\"'\\\s])+")
_ELEMENT_VALUE = re.compile(rb"[^<\n]+(?=</\w)|(?:[^<\n\"\\]|\\[^nr\n])+")
_NUMBER = re.compile(rb"-?\d[0-9A-Za-z.+\-]*")
_NOTHING = re.compile(rb"(?i)(?:null|none|nil|true|false|undefined)(?![\w\-])")
_SPACE = re.compile(rb"[ \t]*")
_MOST_BACKSLASHES = 64
_OPENING = re.compile(rb"(\\*)([\"'])")
_ENDS_JSON = re.compile(rb"[ \t]*(?:[:\n]|\Z|[,}\]][ \t]*(?:[\\\"'{}\[\],\d\n]|null|true|false|\Z))")
"""What follows a quote in JSON that ends a string and does not begin a value: the string ended in `token=`."""
_BETWEEN_VALUES = re.compile(rb"[ \t,]*")
_ENDS_KEY = re.compile(rb"[ \t]*:[ \t]*")
_PLAIN_KEY = re.compile(rb"[A-Za-z_][A-Za-z_ \-]{0,40}\d{0,3}\Z")
"""A key in a nested value that names something, and is itself no secret."""
_SEPARATOR = re.compile(rb"\\*[\"']?[ \t]*(?:=>|:=|={1,3}|[:>]| )[ \t]*\Z")


def secret_names(names: Sequence[str] = ()) -> bytes:
    """A pattern for the built-in names and more of one's own."""
    ends = b"|".join(_spelled(name) for name in (*SECRET_NAMES, *names))
    return rb"(?:%b|\b(?:%b))" % (ends, b"|".join(name.encode() for name in WHOLE_NAMES))


def _spelled(name: str) -> bytes:
    words = re.split(r"[ _\-]+", name)
    spelled = b"[_\\-]?".join(re.escape(word).encode() for word in words)
    return spelled + b"s?" if _PLURALS.search(name) else spelled


def detectors(names: Sequence[str] = ()) -> tuple[Detector, ...]:
    """Detectors of secret values and of user agents by their names."""
    return (
        Detector(Category.USER_AGENT, _trigger(_USER_AGENT), partial(_look, masked_user_agent)),
        Detector(Category.NAMED, _trigger(secret_names(names)), partial(_look, _nothing_kept)),
        Detector(
            Category.NAMED,
            rb"(?i:--[a-z0-9\-]{0,32}%b) {1,4}" % secret_names(names),
            partial(_look, _nothing_kept),
        ),
    )


class Names:
    """Says of a name, such as a key of a dictionary, what it says of its value."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._secret = re.compile(rb"(?i:%b)\Z" % secret_names(names))
        self._user_agent = re.compile(rb"(?i:%b)\Z" % _USER_AGENT)

    def is_secret(self, name: str) -> bool:
        """Whether values of this name are masked whole."""
        return self._secret.search(name.encode("utf-8", "replace")) is not None

    def is_count(self, name: str) -> bool:
        """Whether numbers of this name count secrets, and are none."""
        return _COUNTS.search(name.encode("utf-8", "replace")) is not None

    def is_user_agent(self, name: str) -> bool:
        """Whether values of this name are user agents."""
        return self._user_agent.search(name.encode("utf-8", "replace")) is not None


def _nothing_kept(value: bytes) -> bytes:
    del value
    return MASK


def _trigger(names: bytes) -> bytes:
    return rb"(?i:%b)(?:\\{0,7}[\"'])?[ \t]{0,4}(?:=>|:=|={1,3}|[:>])" % names


def _look(masked: Callable[[bytes], bytes], text: bytes, start: int, end: int, floor: int) -> Finding | None:
    del floor
    separator = _SEPARATOR.search(text, start, end)
    begin = _after_space(text, end)
    if separator is None:
        return None
    name = text[start : separator.start()]
    if _COUNTS.search(name) and _COUNT.match(text, begin):
        return None
    if separator.group().strip() == b">":
        edit = _element(text, start, begin, masked)
    elif text[begin : begin + 1] in (b"[", b"{") and (nested := _nested(text, begin, name, separator.group(), masked)):
        return nested
    elif opening := _OPENING.match(text, begin):
        edit = None if _closes_outer(text, opening, separator.group()) else _quoted(text, begin, masked)
    elif of_name := _OPENING.match(separator.group()):
        edit = _unquoted_in_json(text, begin, of_name.group(), masked)
    else:
        is_header = separator.group().strip() == b":" and _HEADER.search(name) is not None
        edit = _bare(text, begin, _HEADER_VALUE if is_header else _BARE_VALUE, masked)
    return None if edit is None else Finding((edit,), max(edit.end, end))


def _closes_outer(text: bytes, quote: re.Match[bytes], separator: bytes) -> bool:
    """Whether a quote ends a string in which the name is, and does not begin the value."""
    of_name = _OPENING.match(separator)
    if of_name is None:
        return _ENDS_JSON.match(text, quote.end()) is not None
    return len(quote.group(1)) < len(of_name.group(1))


def _element(text: bytes, start: int, begin: int, masked: Callable[[bytes], bytes]) -> Edit | None:
    """The content of `<password>…</password>`."""
    if not re.search(rb"<[\w:.\-]{0,64}\Z", text[max(0, start - 66) : start]):
        return None
    value = _ELEMENT_VALUE.match(text, begin)
    return None if value is None else Edit(begin, value.end(), masked(value.group()))


def _nested(text: bytes, begin: int, name: bytes, separator: bytes, masked: Callable[[bytes], bytes]) -> Finding | None:
    """Every string and number in a list or an object: `"cookie": ["a=1", "b=2"]`, `"password": {"old": "x"}`."""
    of_name = _OPENING.match(separator)
    quote = of_name.group() if of_name and of_name.group(2) == b'"' else b""
    edits: list[Edit] = []
    depth, at, resume = 0, begin, 0
    while True:
        if text[at : at + 1] in (b"[", b"{"):
            depth, at = depth + 1, at + 1
        elif text[at : at + 1] in (b"]", b"}"):
            depth, at = depth - 1, at + 1
        elif opening := _OPENING.match(text, at):
            if _closes_outer(text, opening, separator):
                break
            resume = at  # what follows a key may not be of JSON, and is then judged by that key
            edit, at = _string_or_key(text, opening, masked)
            edits += [edit] if edit else []
        elif number := _NUMBER.match(text, at):
            resume = at = number.end()
            if not (name.lower().endswith(b"tokens") and _COUNT.match(text, number.start())):
                edits.append(Edit(*number.span(), quote + masked(number.group()) + quote))
        elif nothing := _NOTHING.match(text, at):
            resume = at = nothing.end()
        else:
            break
        if depth == 0:
            resume = at
            break
        at = _after(_BETWEEN_VALUES, text, at)
    resume = max(resume, edits[-1].end) if edits else resume
    return Finding(tuple(edits), resume) if resume > begin + 1 else None


def _string_or_key(text: bytes, opening: re.Match[bytes], masked: Callable[[bytes], bytes]) -> tuple[Edit | None, int]:
    """What to change in a string in a nested value, and where what comes after it begins. A plain key stays."""
    end = end_of_string(text, opening.end(), opening.group(2), len(opening.group(1)))
    content = text[opening.end() : end]
    after = min(end + len(opening.group()), len(text))
    after_key = _ENDS_KEY.match(text, after)
    if not content or (after_key and _PLAIN_KEY.match(content)):
        return None, after_key.end() if after_key else after
    return Edit(opening.end(), end, masked(content)), after_key.end() if after_key else after


def _after_space(text: bytes, at: int) -> int:
    return _after(_SPACE, text, at)


def _after(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _quoted(text: bytes, begin: int, masked: Callable[[bytes], bytes]) -> Edit | None:
    """The content of a string, which may itself be in a string: its quotes are escaped then."""
    opening = _OPENING.match(text, begin)
    if opening is None:
        return None
    end = end_of_string(text, opening.end(), opening.group(2), len(opening.group(1)))
    return Edit(opening.end(), end, masked(text[opening.end() : end])) if end > opening.end() else None


def end_of_string(text: bytes, begin: int, quote: bytes, backslashes: int) -> int:
    r"""Where the content of a string ends that was opened by a quote after so many backslashes.

    In a string in a string, a quote is escaped as `\"`, and one that does not end it as `\\\"`.
    """
    line_end = text.find(b"\n", begin)
    line_end = len(text) if line_end == -1 else line_end
    at = begin
    while (at := text.find(quote, at, line_end)) != -1:
        near = text[max(begin, at - _MOST_BACKSLASHES) : at]
        before = len(near) - len(near.rstrip(b"\\"))
        if before <= backslashes or (before - backslashes) % (2 * (backslashes + 1)) == 0:
            return at - min(before, backslashes)
        at += 1
    return line_end


def _unquoted_in_json(text: bytes, begin: int, quote: bytes, masked: Callable[[bytes], bytes]) -> Edit | None:
    """A number becomes a string, so that the line remains JSON. What Python shows of an object is masked too."""
    if quote.endswith(b"'"):
        return _bare(text, begin, _BARE_VALUE, masked)
    number = _NUMBER.match(text, begin)
    return None if number is None else Edit(begin, number.end(), quote + masked(number.group()) + quote)


def _bare(text: bytes, begin: int, pattern: re.Pattern[bytes], masked: Callable[[bytes], bytes]) -> Edit | None:
    """A value without quotes."""
    value = None if _NOTHING.match(text, begin) else pattern.match(text, begin)
    if value is None:
        return None
    shown = value.group().rstrip()
    return Edit(begin, begin + len(shown), masked(shown)) if shown else None
