"""Masks the texts in nested values, and in what msgspec encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.privacy.masker import Masker


def mask_values(values: dict[Any, Any], masker: Masker) -> dict[Any, Any]:
    """A dictionary with every text in it masked, in nested ones and in keys too; keys say what is secret, as in JSON.

    Of keys that become the same, the later ones get a number.
    """
    return _masked_items(values, masker, of_secret=None)


def _masked_items(values: dict[Any, Any], masker: Masker, of_secret: str | None) -> dict[Any, Any]:
    """`of_secret`: the name of a secret that this is the value of, whatever its own keys say."""
    masked: dict[Any, Any] = {}
    for key, value in values.items():
        shown = first = _masked_key(key, masker)
        number = 1
        while shown in masked:
            number += 1
            shown = f"{first} ({number})"
        masked[shown] = _masked(str(key) if of_secret is None else of_secret, value, masker)
    return masked


def _masked_key(key: Any, masker: Masker) -> Any:
    shown = key if isinstance(key, str) else repr(key)
    masked = masker.mask(shown)
    return key if masked == shown else masked


def _masked(name: str, value: Any, masker: Masker) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return masker.mask_named(name, value)
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return _masked_items(value, masker, name if masker.is_secret(name) else None)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_masked(name, element, masker) for element in value)
    if isinstance(value, int | float) and masker.is_secret(name) and not masker.is_secret(name, number=True):
        return value
    shown = repr(value)
    masked = masker.mask_named(name, shown)
    return value if masked == shown else masked


def masking_hook(masker: Masker, otherwise: Callable[[Any], str] = repr) -> Callable[[Any], str]:
    """An `enc_hook` for msgspec: what msgspec cannot encode becomes text by `otherwise`, masked."""

    def hook(value: Any) -> str:
        return masker.mask(otherwise(value))

    return hook


def encode_masked(value: Any, masker: Masker) -> bytes:
    """A value as one line of JSON, masked: texts, and by the names of fields."""
    return masker.mask_bytes(msgspec.json.encode(value, enc_hook=masking_hook(masker)))
