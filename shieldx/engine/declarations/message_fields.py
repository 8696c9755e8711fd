"""The fields of message types with their classifications, as their annotations have them."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from shieldx.classification import NEITHER, Classification, Nature

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINERS = (Union, UnionType, list, tuple, dict, set, frozenset)
_NO_VALUE = (NoneType, msgspec.UnsetType, Ellipsis)


class MessageField(NamedTuple):
    """A field of a message type, and what it is made of: texts, numbers and other values, or messages."""

    name: str
    values: tuple[Classification | None, ...]
    """How its values are classified. None: not at all."""
    parts: tuple[type[msgspec.Struct], ...]
    """The types of messages in it."""

    @property
    def is_classified(self) -> bool:
        """Whether all its values are. Those of its parts are not looked at."""
        return None not in self.values

    @property
    def classification(self) -> Classification | None:
        """What it is: personal or secret, if one of its values is. None if one is not classified."""
        if not self.is_classified:
            return None
        return next((it for it in self.values if it is not None and it.nature is not Nature.NEITHER), NEITHER)


def fields_of(kind: type[msgspec.Struct]) -> list[MessageField]:
    """The fields of a message type, as JSON names them. The one that names the type comes first."""
    hints = get_type_hints(kind, include_extras=True)
    tag = kind.__struct_config__.tag_field
    fields = [] if tag is None else [MessageField(tag, (NEITHER,), ())]
    for field in msgspec.structs.fields(kind):
        found = list(_of_hint(hints[field.name]))
        values = [it for it in found if not isinstance(it, type)]
        parts = [it for it in found if isinstance(it, type)]
        fields.append(MessageField(field.encode_name, tuple(dict.fromkeys(values)), tuple(dict.fromkeys(parts))))
    return fields


def all_fields_of(kind: type[msgspec.Struct]) -> list[MessageField]:
    """The fields of a message type and of the messages in it, each with its path: `payment.reference.key_id`."""
    return list(_all_fields_of(kind, "", ()))


def parts_of(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The types of the messages in a message, of those in them, and so on, each once."""
    found: dict[type[msgspec.Struct], None] = {}
    waiting = [kind]
    while waiting:
        for field in fields_of(waiting.pop(0)):
            waiting += [part for part in field.parts if part not in found]
            found |= dict.fromkeys(field.parts)
    return list(found)


def _all_fields_of(
    kind: type[msgspec.Struct], prefix: str, within: tuple[type[msgspec.Struct], ...]
) -> Iterator[MessageField]:
    for field in fields_of(kind):
        path = prefix + field.name
        if field.values:
            yield MessageField(path, field.values, ())
        for part in field.parts:
            if part not in (*within, kind):  # a rule of rules has the same fields again
                yield from _all_fields_of(part, f"{path}.", (*within, kind))


def _of_hint(hint: Any) -> Iterator[Classification | type[msgspec.Struct] | None]:
    """The classifications of the values that a type allows, and the message types in it."""
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        given = [extra for extra in extras if isinstance(extra, Classification)]
        if given:
            yield given[-1]  # the outermost: `Annotated[Id, ACTING]` says more than `Id`
        else:
            yield from _of_hint(inner)
    elif get_origin(hint) in _CONTAINERS:
        for inner in get_args(hint):
            if inner not in _NO_VALUE:
                yield from _of_hint(inner)
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    else:
        yield None
