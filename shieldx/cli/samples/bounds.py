"""What a set must keep to so that it can be sealed and evaluated; checked before anything is written."""

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
"""What is known about a set stays within a record of a megabyte, in the command and in the agent's table."""


class ImportOtherSamples(ShieldXError):
    """What was found makes no set: it is nothing, or more than a set may have."""


def check_samples(samples: Sequence[Sample]) -> None:
    """Refuse what no evaluator could read.

    Raises:
        ImportOtherSamples: there are none, too many, or too large ones.
    """
    if not samples:
        raise ImportOtherSamples("there is no sample in these files; --skipped writes down why")
    if len(samples) > MAX_SAMPLES:
        raise ImportOtherSamples(
            f"these are {len(samples):,} samples, and a set has {MAX_SAMPLES:,} at most: make several sets"
        )
    size_bytes = sum(len(encode_sample(sample)) for sample in samples)
    if size_bytes > MAX_SET_BYTES:
        raise ImportOtherSamples(
            f"these are samples of {size_bytes:,} bytes, and a set has {MAX_SET_BYTES:,} at most: make several sets"
        )


def check_seal(seal: SealSamples) -> None:
    """Refuse what would not fit into a record.

    Raises:
        ImportOtherSamples: says what makes it so large.
    """
    size_bytes = len(encode(seal))
    if size_bytes > MAX_SEAL_BYTES:
        raise ImportOtherSamples(
            f"the samples are of {len(seal.strata):,} kinds, each a label, a category and rules: to list them takes "
            f"{size_bytes:,} bytes, and {MAX_SEAL_BYTES:,} are the most; use fewer categories, or make several sets"
        )
