"""Reads JSON strictly: nothing that was written may be left out of what is read, and nothing may be written twice.

msgspec skips names that a type does not have, keeps the last of several members with one name, and looks at neither
UTF-8 nor range in what it skips. For a command about money each of these is a misreading: with `"ammount":10` a commit
would spend the whole hold.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_SHOWN_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}:]', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_HIGH, _LOW, _AFTER = 0xD800, 0xDC00, 0xE000
_NUL, _NUL_IN_JSON = "\0", b"\\u0000"
_ROOT = "$"
_COMPARABLE = (
    inspect.AnyType,
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.BytesType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.RawType,
)
"""Encoding one of these writes no colon that was not in its JSON. Encoding a time may."""
_UNSUPPORTED = (
    inspect.CustomType,
    inspect.DataclassType,
    inspect.DictType,
    inspect.FrozenSetType,
    inspect.NamedTupleType,
    inspect.SetType,
    inspect.StructType,
    inspect.TypedDictType,
)
"""Forms whose parts cannot be matched with their JSON by name or position."""

Members = dict[str, msgspec.Raw]
"""The members of an object. Of several with one name, the last."""
decode_members = msgspec.json.Decoder(Members).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class LeavesOut(ValueError):
    """JSON says something that its reader would leave out. The message has the path, and no value."""


class StrictDecoder:
    """Decodes messages of a type, and refuses what msgspec would leave out of them.

    A type says with two class variables what else is refused:

    - `since_level`: the level of stored forms from which on a field may be used, by its name. Below it, a message with
      the field is refused, as by a release that does not know the field.
    - `may_hold_nul`: whether its texts may contain U+0000, which Postgres does not store. By default they may not.
    """

    def __init__(self, kind: Any) -> None:
        """`kind` is made of structs, lists, tuples, dictionaries and scalars; TypeError if it is not."""
        decoder = msgspec.json.Decoder(kind)
        self._decode = decoder.decode
        forms = _Forms()
        forms.add(inspect.type_info(kind))
        # A lone tagged type may be read without its tag, and its tag is encoded nevertheless.
        self._comparable = forms.comparable and not _is_lone_tagged(kind)
        self._newest_level = forms.newest_level

    def decode(self, value: bytes, level: int | None = None) -> Any:
        """The message in a value. `level` is the level of stored forms of the partition; None: any field may be used.

        Raises:
            LeavesOut, msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it is not one of the messages.
        """
        message = self._decode(value)
        # Without a backslash, every colon between two members is as visible in the value as in the encoded message. The
        # encoded message has only what was read. So as many colons there as here: nothing was left out. This settles
        # most messages for half a microsecond; the others are taken apart.
        if (
            self._comparable
            and (level is None or level >= self._newest_level)
            and b"\\" not in value
            and value.count(b":") == _encode(message).count(b":")
        ):
            return message
        _check(value, message, _ROOT, level, nul=True)
        return message


def check_nothing_left_out(value: bytes, read: Any) -> None:
    """Check that plain JSON, as msgspec reads it without a type, has no name twice.

    Raises:
        LeavesOut: an object has.
    """
    _check(value, read, _ROOT, None, nul=False)


def names_given_twice(value: bytes, members: Members) -> Collection[str]:
    """The names that several members of an object have. `members` are what was decoded from the object."""
    # Each member has one colon of its own; others are in names and in values, also in values that were dropped.
    if value.count(b":") - b"".join(members.values()).count(b":") == len(members):
        return ()
    names = Counter(_names_in(value))
    return {name for name, times in names.items() if times > 1}


def half_surrogate_at(value: bytes) -> int | None:
    """The position of an escaped half of a surrogate pair without its other half, if there is one."""
    high_at: int | None = None
    end = 0
    for escape in _ESCAPE.finditer(value):
        code = int(escape[1], 16) if escape[1] else 0
        follows = high_at is not None and escape.start() == end
        if high_at is not None and not (follows and _LOW <= code < _AFTER):
            return high_at
        if high_at is None and _LOW <= code < _AFTER:
            return escape.start()
        high_at = escape.start() if _HIGH <= code < _LOW else None
        end = escape.end()
    return high_at


def shown_name(name: str) -> str:
    """A name that a sender chose, if it looks like the name of a field; it could be personal data."""
    return name if _SHOWN_NAME.fullmatch(name) else "…"


def _is_lone_tagged(kind: Any) -> bool:
    return getattr(getattr(kind, "__struct_config__", None), "tag", None) is not None


class _Forms:
    """Everything that a type is made of."""

    def __init__(self) -> None:
        self.comparable = True
        """Whether encoding a message never writes a colon that was not in the JSON from which it was decoded."""
        self.newest_level = 0
        self._seen: set[type] = set()

    def add(self, form: inspect.Type) -> None:
        match form:
            case inspect.Metadata():
                self.add(form.type)
            case inspect.UnionType():
                self._add_all(*form.types)
            case inspect.ListType() | inspect.VarTupleType():
                self.add(form.item_type)
            case inspect.TupleType():
                self._add_all(*form.item_types)
            case inspect.DictType(key_type=inspect.StrType()):
                self.add(form.value_type)
            case inspect.StructType(array_like=False):
                self._add_struct(form)
            case _ if isinstance(form, _UNSUPPORTED):
                raise TypeError(f"{type(form).__name__} cannot be read strictly")
            case _ if not isinstance(form, _COMPARABLE):
                self.comparable = False

    def _add_all(self, *forms: inspect.Type) -> None:
        for form in forms:
            self.add(form)

    def _add_struct(self, form: inspect.StructType) -> None:
        if form.cls in self._seen:
            return
        self._seen.add(form.cls)
        self.comparable &= form.cls.__struct_config__.omit_defaults
        self.newest_level = max(self.newest_level, *_shape_of(form.cls).since_level.values(), 0)
        self._add_all(*(field.type for field in form.fields))


class _Shape(NamedTuple):
    """The fields of a struct."""

    names: frozenset[str]
    """As JSON has them, with the name of the tag."""
    attributes: tuple[tuple[str, str], ...]
    """The name and the attribute of each field."""
    nested: tuple[tuple[str, str], ...]
    """The same of each field that can be more than a scalar."""
    since_level: Mapping[str, int]
    may_hold_nul: bool


@cache
def _shape_of(kind: type[msgspec.Struct]) -> _Shape:
    form: Any = inspect.type_info(kind)  # a StructType
    tag = () if form.tag_field is None else (form.tag_field,)
    attributes = tuple((field.encode_name, field.name) for field in form.fields)
    nested = tuple((field.encode_name, field.name) for field in form.fields if not _is_scalar(field.type))
    names = frozenset((*tag, *dict(attributes)))
    return _Shape(names, attributes, nested, getattr(kind, "since_level", {}), getattr(kind, "may_hold_nul", False))


def _is_scalar(form: inspect.Type) -> bool:
    if isinstance(form, inspect.Metadata):
        return _is_scalar(form.type)
    if isinstance(form, inspect.UnionType):
        return all(map(_is_scalar, form.types))
    return isinstance(form, _COMPARABLE) and not isinstance(form, inspect.AnyType)


def _check(value: bytes, read: Any, path: str, level: int | None, *, nul: bool) -> None:
    """Compare JSON with what was read from it. `nul` says whether a text with U+0000 is refused."""
    if isinstance(read, msgspec.Struct):
        _check_struct(value, read, path, level)
    elif isinstance(read, (list, tuple)):
        for index, (raw, item) in enumerate(zip(_decode_items(value), read, strict=True)):
            _check(bytes(raw), item, f"{path}[{index}]", level, nul=nul)
    elif isinstance(read, dict):
        members = decode_members(value)
        _check_once(value, members, path)
        for name, raw in members.items():
            _check(bytes(raw), read[name], f"{path}.{shown_name(name)}", level, nul=nul)
            _check(b"", name, path, level, nul=nul)
    elif nul and isinstance(read, str) and _NUL in read:
        raise LeavesOut(f"U+0000 in a text - at `{path}`")


def _check_struct(value: bytes, read: msgspec.Struct, path: str, level: int | None) -> None:
    shape, members = _shape_of(type(read)), decode_members(value)
    if not shape.names >= members.keys():
        unknown = next(name for name in members if name not in shape.names)
        raise LeavesOut(f"Unknown field - at `{path}.{shown_name(unknown)}`")
    _check_once(value, members, path)
    for name, since_level in shape.since_level.items():
        if level is not None and level < since_level and name in members:
            raise LeavesOut(f"Unknown field before format level {since_level} - at `{path}.{name}`")
    nul = _NUL_IN_JSON in value and not shape.may_hold_nul
    for name, attribute in shape.attributes if nul else shape.nested:
        if name in members:
            _check(bytes(members[name]), getattr(read, attribute), f"{path}.{name}", level, nul=nul)


def _check_once(value: bytes, members: Members, path: str) -> None:
    """Check that no two members of an object have the same name."""
    twice = names_given_twice(value, members)
    if twice:
        raise LeavesOut(f"Field given twice - at `{path}.{min(map(shown_name, twice))}`")


def _names_in(value: bytes) -> Iterator[str]:
    """The names of an object's members, in order."""
    depth, text = 0, b""
    for token in _TOKEN.finditer(value):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case b":":
                if depth == 1:
                    yield _decode_name(text)
            case text:
                pass
