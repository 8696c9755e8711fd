"""Masks log records before they are formatted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from shieldx.privacy.values import mask_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.privacy.masker import Masker

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class MaskingFilter(logging.Filter):
    """Masks the message with its arguments, the texts of exception and stack, and the `extra` values.

    Add it to a handler: a logger's filters do not see the records of its children. The record itself is changed, so
    handlers that come later see it masked too.
    """

    def __init__(self, masker: Callable[[], Masker]) -> None:
        """`masker` is called when there is something to mask: a program that logs nothing compiles no patterns."""
        super().__init__()
        self._make_masker = masker
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record, and let it pass."""
        masker = self._make_masker()
        record.msg, record.args = masker.mask(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = masker.mask(record.exc_text), None
        if record.stack_info:
            record.stack_info = masker.mask(record.stack_info)
        given = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        masked = _masked_values(given, masker)
        for name in given.keys() - masked.keys():
            del record.__dict__[name]
        record.__dict__.update(masked)
        return True


def _masked_values(given: dict[str, Any], masker: Masker) -> dict[str, Any]:
    """The values by name. What cannot be looked at, such as a dict that contains itself, is not shown."""
    try:
        return mask_values(given, masker)
    except Exception:  # noqa: BLE001 - of the values' own methods; logging must not raise
        return {name: _masked_value(name, value, masker) for name, value in given.items()}


def _masked_value(name: str, value: Any, masker: Masker) -> Any:
    try:
        return mask_values({name: value}, masker)[name]
    except Exception as error:  # noqa: BLE001 - likewise
        return f"<cannot be shown: {type(error).__name__}>"


def _message(record: logging.LogRecord) -> str:
    """The message, also if its arguments do not fit: logging would print them unmasked in its own report."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - of the arguments' own methods
        return f"{record.msg} (its arguments cannot be formatted: {type(error).__name__})"
