"""What a command writes to stderr without being asked, masked: warnings of libraries, and tracebacks."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

from shieldx.privacy import default_masker, mask
from shieldx.privacy.log_filter import MaskingFilter

if TYPE_CHECKING:
    from types import TracebackType


def mask_stderr() -> None:
    """Mask warnings that are logged where no log is set up, and tracebacks of unexpected errors."""
    if logging.lastResort is not None and not logging.lastResort.filters:
        logging.lastResort.addFilter(MaskingFilter(default_masker))
    sys.excepthook = _print_masked


def _print_masked(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, where))))
