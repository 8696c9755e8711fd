"""Masks the texts in nested values, and in what msgspec encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.privacy.masker import Masker


def mask_values(values: dict[Any, Any], masker: Masker) -> dict[Any, Any]:
    """A dictionary with every text in it masked, in nested ones too; keys say what is secret, as in JSON."""
    return {name: _masked(name, value, masker) for name, value in values.items()}


def _masked(name: object, value: Any, masker: Masker) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return masker.mask_named(str(name), value)
    if isinstance(value, dict):
        return mask_values(value, masker)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_masked(name, element, masker) for element in value)
    if isinstance(value, msgspec.Struct):
        return mask_values(msgspec.structs.asdict(value), masker)
    shown = repr(value)
    masked = masker.mask_named(str(name), shown)
    return value if masked == shown else masked


def masking_hook(masker: Masker, otherwise: Callable[[Any], str] = repr) -> Callable[[Any], str]:
    """An `enc_hook` for msgspec: what msgspec cannot encode becomes text by `otherwise`, masked."""

    def hook(value: Any) -> str:
        return masker.mask(otherwise(value))

    return hook


def encode_masked(value: Any, masker: Masker) -> bytes:
    """A value as one line of JSON, masked: texts, and by the names of fields."""
    return masker.mask_bytes(msgspec.json.encode(value, enc_hook=masking_hook(masker)))
