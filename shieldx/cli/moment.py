"""Command options for times, and for moments: a time, or an offset in the topic of commands."""

from __future__ import annotations

from datetime import UTC, datetime

import click

Moment = datetime | int
LAST_OFFSET = 2**63 - 1
"""The largest Kafka offset and Postgres `bigint`."""


class TimeType(click.ParamType):
    """A time as a command option."""

    name = "time"

    def __init__(self, what: str = "not a time") -> None:
        """`what` describes an invalid value in the error message."""
        self._what = what

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse an ISO 8601 time, in UTC by default."""
        text = str(value)
        try:
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except ValueError:
            self.fail(f"{text!r} is {self._what} such as 2026-11-22T13:07:11Z", param, ctx)
        except OverflowError:
            self.fail(f"{text} is not within the years 1 to 9999 in UTC", param, ctx)


class MomentType(click.ParamType):
    """A moment as a command option."""

    name = "offset|time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """Parse an offset, or an ISO 8601 time, in UTC by default."""
        text = str(value)
        if text.isdecimal():
            if len(text) > len(str(LAST_OFFSET)) or int(text) > LAST_OFFSET:
                self.fail(f"{text} is not an offset: the maximum is {LAST_OFFSET}", param, ctx)
            return int(text)
        return TimeType("neither an offset nor a time").convert(text, param, ctx)


def rfc3339(at: datetime) -> str:
    """A time in the format of results: UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
