"""A sample set as bytes, which takes far less memory than objects and can be sent to another process unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECT_BYTES = 48
"""Python's overhead per sample: the header of a `bytes` object and the reference to it."""

encode_sample = msgspec.msgpack.Encoder().encode
"""MessagePack stores bodies unencoded. JSON's base64 takes three times as long to decode for long bodies."""
decode_sample = msgspec.msgpack.Decoder(Sample).decode


@dataclass(frozen=True)
class EncodedSet:
    """Samples in the order of their set."""

    samples: Sequence[bytes]
    strata: str
    """A digest of the summary of the samples."""

    @property
    def size_bytes(self) -> int:
        """The approximate memory use."""
        return sum(map(len, self.samples)) + OBJECT_BYTES * len(self.samples)
