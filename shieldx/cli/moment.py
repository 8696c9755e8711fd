"""A time as an option, and a moment in a tenant's account: a time, or an offset in the topic of commands."""

from __future__ import annotations

from datetime import UTC, datetime

import click

Moment = datetime | int
LAST_OFFSET = 2**63 - 1
"""Kafka has no greater offset, and Postgres no greater `bigint`."""


class TimeType(click.ParamType):
    """A time as a command's option."""

    name = "time"

    def __init__(self, what: str = "no time") -> None:
        """`what` is something else, as the user is told."""
        self._what = what

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read ISO 8601, which is UTC unless it says otherwise."""
        text = str(value)
        try:
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except ValueError:
            self.fail(f"{text!r} is {self._what} such as 2026-11-22T13:07:11Z", param, ctx)
        except OverflowError:
            self.fail(f"{text} is not within the years 1 to 9999 of UTC", param, ctx)


class MomentType(click.ParamType):
    """A moment as a command's option."""

    name = "offset|time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """Read an offset, or a time in ISO 8601, which is UTC unless it says otherwise."""
        text = str(value)
        if text.isdecimal():
            if len(text) > len(str(LAST_OFFSET)) or int(text) > LAST_OFFSET:
                self.fail(f"{text} is no offset: the greatest is {LAST_OFFSET}", param, ctx)
            return int(text)
        return TimeType("neither an offset nor a time").convert(text, param, ctx)


def rfc3339(at: datetime) -> str:
    """A time as results show it, in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
