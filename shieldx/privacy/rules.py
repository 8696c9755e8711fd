"""Rules of one's own, from a TOML file: more names of secret values, and patterns to mask."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shieldx.errors import FixConfiguration
from shieldx.privacy.detection import MASK, keep_last


class PatternRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What matches `pattern` is masked."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    pattern: Annotated[str, Meta(min_length=1, max_length=1000)]
    """In RE2's syntax. `^` and `$` are the begin and the end of a line; nothing matches a line end."""
    replacement: str | None = None
    """Instead of `***`."""
    keep_last: Annotated[int, Meta(ge=1, le=32)] | None = None
    """Letters and digits to keep; the others become `*`, and separators stay."""


class MaskingRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a rules file."""

    names: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,63}$")], ...] = ()
    """Names whose values are secret, as keys, headers, parameters and options."""
    rules: tuple[PatternRule, ...] = msgspec.field(name="rule", default=())


NO_RULES = MaskingRules()


class OwnPatterns:
    """The patterns of some rules, compiled; they are applied after everything else, in their order.

    Raises:
        FixConfiguration: a pattern is not RE2's, or matches the empty text.
    """

    def __init__(self, rules: MaskingRules) -> None:
        import re2  # noqa: PLC0415 - only those who mask load it

        options = re2.Options()
        options.never_nl = True
        options.log_errors = False
        self._rules: list[tuple[PatternRule, Any]] = []
        for rule in rules.rules:
            try:
                pattern = re2.compile(f"(?m:{rule.pattern})", options)
            except re2.error as error:
                raise FixConfiguration(f"rule {rule.name!r}: RE2 refuses its pattern: {_text(error)}") from error
            if pattern.search(b"") is not None:
                raise FixConfiguration(f"rule {rule.name!r}: its pattern matches the empty text")
            self._rules.append((rule, pattern))
        self._any = (
            re2.compile("|".join(pattern.pattern for _, pattern in self._rules), options) if rules.rules else None
        )

    def match(self, text: bytes) -> bool:
        """Whether a rule matches somewhere."""
        return self._any is not None and self._any.search(text) is not None

    def mask(self, text: bytes) -> bytes:
        """The text with everything masked that a rule matches."""
        if not self.match(text):
            return text
        for rule, pattern in self._rules:
            text = pattern.sub(lambda found, rule=rule: _masked(rule, found.group()), text)
        return text


def rules_of(text: str, origin: str) -> MaskingRules:
    """The rules in the text of a rules file, checked. `origin` names the file in messages.

    Raises:
        FixConfiguration: it is not a rules file; the message has its line or its rule.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FixConfiguration(f"{origin} is not TOML: {error}") from error
    try:
        rules = msgspec.convert(content, MaskingRules)
        _check(rules)
    except (msgspec.ValidationError, FixConfiguration) as error:
        raise FixConfiguration(f"{origin}: {_named(str(error), content)}") from error
    return rules


def _check(rules: MaskingRules) -> None:
    names = [rule.name for rule in rules.rules]
    for rule in rules.rules:
        if names.count(rule.name) > 1:
            raise FixConfiguration(f"rule {rule.name!r}: another rule has the same name")
        if rule.replacement is not None and rule.keep_last is not None:
            raise FixConfiguration(f"rule {rule.name!r}: it has replacement or keep_last, not both")
        if "\n" in (rule.replacement or ""):
            raise FixConfiguration(f"rule {rule.name!r}: its replacement contains a line end")
    OwnPatterns(rules)


def _named(message: str, content: dict[str, Any]) -> str:
    """The message with the name of the rule that it is about, instead of its number."""
    place = re.search(r" - at `\$\.rule\[(\d+)\](?:\.(\w+))?`", message)
    if place is None:
        return message
    rule = content["rule"][int(place.group(1))]
    name = rule.get("name") if isinstance(rule, dict) else None
    field = f", {place.group(2)}" if place.group(2) else ""
    return f"rule {name or int(place.group(1)) + 1!r}{field}: {message[: place.start()]}"


def _text(error: Exception) -> str:
    return error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)


def _masked(rule: PatternRule, found: bytes) -> bytes:
    if rule.keep_last is not None:
        return keep_last(found, rule.keep_last)
    return MASK if rule.replacement is None else rule.replacement.encode()
