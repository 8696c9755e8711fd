r"""Rules of the OWASP Core Rule Set as signatures, from a JSON list of the set's `@rx` rules.

A signature matches as in ModSecurity 2, which the set is written for: with PCRE_DOTALL and PCRE_DOLLAR_ENDONLY, so that
`.` matches newlines, and `^` and `$` match only at the ends of the value. (In ModSecurity 3 and Coraza they match at
every line.) `\s` includes the vertical tab in PCRE but not in RE2, so it is written out.

The list does not say which rules have `multiMatch` and check a value after each transformation; here all rules check
only the final value.
"""

from __future__ import annotations

from typing import Final

import msgspec

from shieldx.domains.shadow.matching.matcher import UnusableRule, compile_rule
from shieldx.domains.shadow.matching.patterns import UnusablePattern, compile_regex
from shieldx.domains.shadow.rule import Signature, Transformation
from shieldx.importers.imported import FixInput

COLLECTIONS: Final = {
    "ARGS": "args",
    "ARGS_GET": "query_args",
    "ARGS_GET_NAMES": "query_arg_names",
    "ARGS_NAMES": "arg_names",
    "ARGS_POST": "body_args",
    "ARGS_POST_NAMES": "body_arg_names",
    "FILES": "files",
    "FILES_NAMES": "file_fields",
    "MULTIPART_PART_HEADERS": "multipart_headers",
    "QUERY_STRING": "query",
    "REQUEST_BASENAME": "basename",
    "REQUEST_BODY": "body",
    "REQUEST_COOKIES": "cookies",
    "REQUEST_COOKIES_NAMES": "cookie_names",
    "REQUEST_FILENAME": "path",
    "REQUEST_HEADERS": "headers",
    "REQUEST_HEADERS_NAMES": "header_names",
    "REQUEST_LINE": "request_line",
    "REQUEST_METHOD": "method",
    "REQUEST_PROTOCOL": "protocol",
    "REQUEST_URI": "uri",
    "REQUEST_URI_RAW": "uri_raw",
    "XML:/*": "xml",
    "XML://@*": "xml_attributes",
}
TRANSFORMATIONS: Final[dict[str, Transformation]] = {
    "base64Decode": "base64_decode",
    "cmdLine": "command_line",
    "compressWhitespace": "compress_whitespace",
    "cssDecode": "css_decode",
    "escapeSeqDecode": "escape_sequence_decode",
    "htmlEntityDecode": "html_entity_decode",
    "jsDecode": "js_decode",
    "lowercase": "lowercase",
    "normalizePath": "normalize_path",
    "removeCommentsChar": "remove_comment_characters",
    "removeNulls": "remove_nulls",
    "removeWhitespace": "remove_whitespace",
    "replaceComments": "replace_comments",
    "urlDecodeUni": "url_decode",
    "utf8toUnicode": "utf8_to_unicode",
}
_MAX_NAME: Final = 256


class ImportedRule(msgspec.Struct, frozen=True):
    """A rule that can be evaluated on samples."""

    rule_id: str
    name: str
    config: Signature


class NotEvaluable(msgspec.Struct, frozen=True):
    """A rule that cannot be evaluated, and the reason."""

    rule_id: str
    reason: str


class _Rule(msgspec.Struct, frozen=True):
    id: int
    variables: list[str]
    transformations: list[str]
    pattern: str
    chained: bool
    msg: str | None = None


class _CannotSay(Exception):
    """The reason why a rule is not evaluable."""


_decode = msgspec.json.Decoder(list[_Rule]).decode


def read_crs_rules(content: bytes) -> list[ImportedRule | NotEvaluable]:
    """The rules of a JSON list, in its order. Raises `FixInput` if the content is not such a list."""
    try:
        rules = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FixInput(
            f"not a JSON list of rules: {error}; each rule needs id, variables, transformations, …"
        ) from error
    return [_imported(rule) for rule in rules]


def _imported(rule: _Rule) -> ImportedRule | NotEvaluable:
    rule_id = str(rule.id)
    try:
        config = _signature(rule)
    except _CannotSay as reason:
        return NotEvaluable(rule_id, str(reason))
    return ImportedRule(rule_id, (rule.msg or "")[:_MAX_NAME], config)


def _signature(rule: _Rule) -> Signature:
    if rule.chained:
        raise _CannotSay("chained: the list does not contain the rest of the chain")
    targets, excluded = _scope(rule.variables)
    config = Signature(
        pattern="(?s)" + with_pcre_space(rule.pattern),
        targets=targets,
        excluded=excluded,
        transformations=_transformations(rule.transformations),
    )
    try:
        compile_regex(rule.pattern)  # so that error positions refer to the pattern as written
        compile_rule(config)
    except (UnusablePattern, UnusableRule) as unusable:
        raise _CannotSay(f"unusable: {unusable}") from None
    return config


def _scope(variables: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    targets, excluded = [], []
    for variable in variables:
        if variable.startswith("!"):
            excluded.append(_target(variable[1:]))
        elif not variable.startswith("RESPONSE_"):
            targets.append(_target(variable))
            if targets[-1].endswith("/"):
                raise _CannotSay(f"{variable} is selected by an expression, which targets do not support")
    if not targets:
        raise _CannotSay("reads only responses, which samples do not have")
    return tuple(targets), tuple(excluded)


def _target(variable: str) -> str:
    known = COLLECTIONS.get(variable)
    if known is not None:
        return known
    collection, colon, name = variable.partition(":")
    if not colon or collection not in COLLECTIONS:
        raise _CannotSay(f"reads {variable}, which samples do not have")
    return f"{COLLECTIONS[collection]}:{name if name.startswith('/') else name.lower()}"


def _transformations(names: list[str]) -> tuple[Transformation, ...]:
    found: list[Transformation] = []
    for name in names:
        if name == "none":
            found.clear()
        elif name in TRANSFORMATIONS:
            found.append(TRANSFORMATIONS[name])
        else:
            raise _CannotSay(f"uses the transformation {name}, which has no equivalent")
    return tuple(found)


def with_pcre_space(pattern: str) -> str:
    r"""The pattern with `\s` and `\S` rewritten to PCRE's meaning, for engines whose `\s` excludes vertical tabs."""
    pieces = []
    in_class = False
    position = 0
    while position < len(pattern):
        piece = _piece(pattern, position, in_class)
        position += len(piece)
        if piece.startswith("[") and not in_class:
            in_class = True
        elif piece == "]":
            in_class = False
        pieces.append((_SPACE_IN_CLASS if in_class else _SPACE).get(piece, piece))
    return "".join(pieces)


_SPACE: Final = {r"\s": r"[\s\x0b]", r"\S": r"[^\s\x0b]"}
_SPACE_IN_CLASS: Final = {r"\s": r"\s\x0b", r"\S": r"\x00-\x08\x0e-\x1f\x21-\xff"}


def _piece(pattern: str, position: int, in_class: bool) -> str:
    """The next piece: an escape, a quotation, the start of a class, a named class within one, or a character."""
    if pattern.startswith(r"\Q", position):
        end = pattern.find(r"\E", position)
        return pattern[position:] if end < 0 else pattern[position : end + 2]
    character = pattern[position]
    if character == "\\":
        return pattern[position : position + 2]
    if character == "[" and in_class and pattern.startswith("[:", position):
        end = pattern.find(":]", position)
        return character if end < 0 else pattern[position : end + 2]
    if character == "[" and not in_class:
        length = 2 if pattern.startswith("[^", position) else 1
        return pattern[position : position + length + pattern.startswith("]", position + length)]
    return character
