"""Detection rules, as authors write them in JSON, and the hash of a rule's content."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, ClassVar, Literal

import msgspec

from shieldx.classification import NEITHER
from shieldx.messages import Flag

MAX_RULE_BYTES = 256 * 1024
"""Maximum size of a rule, which is sent with each batch of samples. Most are below a kilobyte."""
MAX_NESTING = 64
"""Maximum nesting of composites. One that can be decoded but exhausts the stack when it is encoded for its hash would
fail its partition for ever."""

MAX_TARGETS = 64
"""Maximum targets of a scope, and maximum exclusions."""
MAX_PATTERN_LENGTH = 16_384
"""Maximum length of a pattern. The longest of the Core Rule Set has 12,182 characters; RE2 compiles some in quadratic
time."""

Target = Annotated[str, msgspec.Meta(min_length=1, max_length=256), NEITHER]
"""A part of a request, such as `args`, or one with a name: `headers:user-agent`. docs/reference/rules.md lists them."""
Transformation = Literal[
    "url_decode",
    "html_entity_decode",
    "js_decode",
    "css_decode",
    "base64_decode",
    "escape_sequence_decode",
    "utf8_to_unicode",
    "lowercase",
    "remove_nulls",
    "remove_whitespace",
    "compress_whitespace",
    "replace_comments",
    "remove_comment_characters",
    "normalize_path",
    "command_line",
]
DEFAULT_TARGETS = ("path", "args", "arg_names", "headers", "cookies", "body")
DEFAULT_TRANSFORMATIONS: tuple[Transformation, ...] = ("url_decode",)


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a rule looks: in each value of its targets except `excluded`, after all transformations, in order."""

    may_hold_nul: ClassVar = True
    """Requests may contain U+0000, so patterns may, too."""

    targets: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1, max_length=MAX_TARGETS)] = DEFAULT_TARGETS
    excluded: Annotated[tuple[Target, ...], msgspec.Meta(max_length=MAX_TARGETS)] = ()
    """Parts to exclude: `headers:cookie`, or all whose names match a regular expression: `args:/^csrf_/`."""
    transformations: tuple[Annotated[Transformation, NEITHER], ...] = DEFAULT_TRANSFORMATIONS


class Signature(Scope, frozen=True, kw_only=True, tag="signature", tag_field="type"):
    """Fires where a pattern is found. Patterns match bytes, in RE2's syntax; `literal` matches the text literally."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATTERN_LENGTH), NEITHER]
    match: Annotated[Literal["regex", "literal"], NEITHER] = "regex"


class Keywords(Scope, frozen=True, kw_only=True, tag="keywords", tag_field="type"):
    """Fires where at least one of many literal words is found."""

    keywords: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1), NEITHER], ...], msgspec.Meta(min_length=1)]
    case_sensitive: Flag = False
    whole_words: Flag = False
    """Whether a keyword must not be part of a longer word of letters, digits and underscores."""


class Composite(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag="composite",
    tag_field="type",
):
    """Fires where all (`and`), any (`or`) or none (`not`) of its rules do."""

    operator: Annotated[Literal["and", "or", "not"], NEITHER]
    rules: Annotated[tuple[RuleConfig, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Refuse deep nesting. Works level by level, since a recursive function would exhaust the stack."""
        level: list[Composite] = [self]
        for _ in range(MAX_NESTING):
            level = [rule for composite in level for rule in composite.rules if isinstance(rule, Composite)]
            if not level:
                return
        raise ValueError(f"more than {MAX_NESTING} composites within each other: flatten them")


class Weighted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A part of a score: a rule, and the weight that it adds where it fires."""

    weight: Annotated[float, msgspec.Meta(gt=0, le=1e6), NEITHER]
    rule: Signature | Keywords


class Scored(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag="scored",
    tag_field="type",
):
    """Fires where the weights of the firing signatures add up to at least the threshold."""

    signatures: Annotated[tuple[Weighted, ...], msgspec.Meta(min_length=1)]
    threshold: Annotated[float, msgspec.Meta(gt=0), NEITHER]


RuleConfig = Signature | Keywords | Composite | Scored

_encode = msgspec.json.Encoder(order="sorted").encode


def rule_type(config: RuleConfig) -> str:
    """`signature`, `keywords`, `composite` or `scored`."""
    return str(config.__struct_config__.tag)


def rule_hash(config: RuleConfig) -> str:
    """The hexadecimal SHA-256 of a rule's JSON with sorted names and without defaults."""
    return sha256(_encode(config)).hexdigest()
