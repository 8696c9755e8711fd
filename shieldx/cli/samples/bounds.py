"""Limits that a set must respect to be sealed and evaluated; checked before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.messages import MAX_SAMPLES
from shieldx.engine.tasks.codec import encode
from shieldx.errors import ShieldXError
from shieldx.evaluators.encoded_set import encode_sample
from shieldx.evaluators.sample_reader import MAX_SET_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import SealSamples
    from shieldx.domains.shadow.sample import Sample

MAX_SEAL_BYTES = 950_000
"""The summary of a set must fit into a record of a megabyte, in the command and in the agent's table."""


class ImportOtherSamples(ShieldXError):
    """The samples do not form a valid set: there are none, or too many.

    Choose other files, or import fewer samples.
    """


def check_samples(samples: Sequence[Sample]) -> None:
    """Reject samples that no evaluator could read.

    Raises:
        ImportOtherSamples: There are none, too many, or too large ones.
    """
    if not samples:
        raise ImportOtherSamples("these files contain no samples; use --skipped to see why")
    if len(samples) > MAX_SAMPLES:
        raise ImportOtherSamples(
            f"{len(samples):,} samples exceed the maximum of {MAX_SAMPLES:,} per set: create several sets"
        )
    size_bytes = sum(len(encode_sample(sample)) for sample in samples)
    if size_bytes > MAX_SET_BYTES:
        raise ImportOtherSamples(
            f"samples of {size_bytes:,} bytes exceed the maximum of {MAX_SET_BYTES:,} per set: create several sets"
        )


def check_seal(seal: SealSamples) -> None:
    """Reject a summary that does not fit into a record.

    Raises:
        ImportOtherSamples: The message says what makes it too large.
    """
    size_bytes = len(encode(seal))
    if size_bytes > MAX_SEAL_BYTES:
        raise ImportOtherSamples(
            f"the samples have {len(seal.strata):,} distinct combinations of label, category and rules; their list "
            f"takes {size_bytes:,} bytes, but the maximum is {MAX_SEAL_BYTES:,}; use fewer categories, or several sets"
        )
