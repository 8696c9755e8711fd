"""A time in the log as an option."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from shieldx.cli.moment import TimeType

if TYPE_CHECKING:
    from datetime import datetime


class LogTimeType(TimeType):
    """A bound on stream time, which has milliseconds: one within a millisecond is as good as the next one's begin."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a time in ISO 8601, which is UTC unless it says otherwise."""
        at = super().convert(value, param, ctx)
        try:
            return at + timedelta(microseconds=-at.microsecond % 1000)
        except OverflowError:
            self.fail(f"{value} is not within the years 1 to 9999 of UTC", param, ctx)


from_option = click.option("--from", "start", type=LogTimeType(), help="Stream time from then on.")
to_option = click.option("--to", "end", type=LogTimeType(), help="Stream time before then.")
