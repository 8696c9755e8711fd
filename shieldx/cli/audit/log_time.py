"""A time in the log as an option."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from shieldx.cli.moment import in_utc


class LogTimeType(click.ParamType[datetime]):
    """A bound on log time, which has milliseconds: one within a millisecond is as good as the next one's begin."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a time in ISO 8601, which is UTC unless it says otherwise."""
        text = str(value)
        try:
            at = in_utc(text)
            return at + timedelta(microseconds=-at.microsecond % 1000)
        except ValueError:
            self.fail(f"{text!r} is no time such as 2026-11-22T13:07:11Z", param, ctx)
        except OverflowError:
            self.fail(f"{text} is not within the years 1 to 9999 of UTC", param, ctx)


from_option = click.option("--from", "start", type=LogTimeType(), help="Log time from then on.")
to_option = click.option("--to", "end", type=LogTimeType(), help="Log time before then.")
