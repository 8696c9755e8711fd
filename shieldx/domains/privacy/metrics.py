"""What the results of the privacy agent count for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.privacy.messages import Result


def operations(result: Result) -> Iterator[tuple[str, str]]:
    """The type and the code of a result."""
    yield result.type, result.code.value
