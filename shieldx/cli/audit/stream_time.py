"""Command options for stream time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from shieldx.cli.moment import TimeType

if TYPE_CHECKING:
    from datetime import datetime


class LogTimeType(TimeType):
    """A bound on stream time, which has milliseconds. A fraction of a millisecond is rounded up."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse an ISO 8601 time, in UTC by default."""
        at = super().convert(value, param, ctx)
        try:
            return at + timedelta(microseconds=-at.microsecond % 1000)
        except OverflowError:
            self.fail(f"{value} is not within the years 1 to 9999 in UTC", param, ctx)


from_option = click.option("--from", "start", type=LogTimeType(), help="Start of stream time, included.")
to_option = click.option("--to", "end", type=LogTimeType(), help="End of stream time, excluded.")
