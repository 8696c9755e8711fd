"""A set of samples as bytes: far smaller than as objects, and sent to another process as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECT_BYTES = 48
"""What Python adds to each sample: the head of a `bytes`, and the reference to it."""

encode_sample = msgspec.msgpack.Encoder().encode
"""MessagePack has bodies as they are: JSON's base64 would take three times as long to decode where they are long."""
decode_sample = msgspec.msgpack.Decoder(Sample).decode


@dataclass(frozen=True)
class EncodedSet:
    """Samples in the order of their set."""

    samples: Sequence[bytes]
    strata: str
    """A digest of what is known about them."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return sum(map(len, self.samples)) + OBJECT_BYTES * len(self.samples)
