"""The value of a record that is set aside, masked, as its dead letter has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 8 * 1024
"""How much of a masked value a dead letter has."""
_BEYOND_BYTES = 1024
"""Masked in addition, and left out: what a cut divides would pass unmasked, such as the first half of a number."""
MOST_S = 0.1
"""How long the values of one transaction may take. Anybody can send text in which there is something to look at in
every other byte, and a worker that masks for seconds answers nobody and loses its partitions."""
SEALED_OR_SECRET = (b'"personal"', b'"payment"', b'"wrapped"', b'"ciphertext"')
"""Fields that are to be sealed, or are secret. What is in them is known to be worth hiding, whatever it looks like."""


class LetterPayload(NamedTuple):
    """The masked value as a text, if the dead letter has it, and whether anything is left out."""

    text: str | None
    cut: bool


class LetterPayloads:
    """The values of the records that one transaction sets aside."""

    def __init__(self, mask: Callable[[bytes], bytes], clock_s: Callable[[], float]) -> None:
        self._mask = mask
        self._clock_s = clock_s
        self._left_s = MOST_S

    def of(self, value: bytes | None) -> LetterPayload:
        """The value of a record; a tombstone has none."""
        if value is None:
            return LetterPayload(None, cut=False)
        if self._left_s <= 0 or any(name in value for name in SEALED_OR_SECRET):
            return LetterPayload(None, cut=True)
        began_s = self._clock_s()
        text = self._masked(value)
        self._left_s -= self._clock_s() - began_s
        return text

    def _masked(self, value: bytes) -> LetterPayload:
        whole = len(value) <= MOST_BYTES + _BEYOND_BYTES
        masked = self._mask(value if whole else value[: MOST_BYTES + _BEYOND_BYTES])
        shown = masked if whole else masked[:-_BEYOND_BYTES]
        text = shown[:MOST_BYTES].decode(errors="backslashreplace")[:MOST_BYTES]
        return LetterPayload(text, cut=not whole or len(shown) > MOST_BYTES)
