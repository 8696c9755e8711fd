"""`shieldx privacy request`: records a request of a subject."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.moment import TimeType, rfc3339
from shieldx.cli.options import tenant_option, timeout_option
from shieldx.cli.privacy.commands import carry_out, refuse
from shieldx.cli.privacy.subject import actor_option, pseudonym_of, pseudonym_option
from shieldx.cli.stdout import as_json, json_wanted, print_json, printable
from shieldx.cli.user_name import user_name
from shieldx.domains.privacy.messages import OpenRequest, RequestKind
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.domains.privacy.messages import Result

DUE_DAYS = 30
"""GDPR, article 12(3): without undue delay, and within one month. February has fewer days, but a month is counted."""


@click.command()
@click.argument("subject")
@tenant_option
@click.option(
    "--kind", type=click.Choice([str(kind) for kind in RequestKind]), required=True, help="What is asked for."
)
@click.option("--id", "request_id", metavar="ID", help="The request's id. Default: random.")
@click.option("--received", type=TimeType(), help="When it was received. Default: now.")
@click.option(
    "--due-days", type=click.IntRange(1, 366), default=DUE_DAYS, show_default=True, help="Days to answer it in."
)
@actor_option
@pseudonym_option
@timeout_option
@as_json
def command(
    subject: str,
    tenant_id: str,
    kind: str,
    received: datetime | None,
    due_days: int,
    timeout_s: float,
    *,
    is_pseudonym: bool,
    as_json: bool,
    **said: str | None,
) -> None:
    """Record that a SUBJECT asks for something. It is listed with its deadline until it is answered.

    An erasure answers the subject's requests for it by itself.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    received = received or datetime.now(UTC)

    async def send() -> tuple[OpenRequest, Result]:
        request = OpenRequest(
            tenant_id=tenant_id,
            request_id=said["request_id"] or str(uuid4()),
            subject=await pseudonym_of(platform, tenant_id, subject, is_pseudonym=is_pseudonym),
            kind=RequestKind(kind),
            actor=said["actor"] or user_name(),
            received_at=rfc3339(received),
            due_at=rfc3339(received + timedelta(days=due_days)),
        )
        return request, await carry_out(platform, request, timeout_s)

    with named_kafka_errors(platform.connection):
        request, result = asyncio.run(send())
    refuse(result)
    if json_wanted(as_json=as_json):
        print_json(request)
    else:
        click.echo(f"request {printable(request.request_id)} is due at {request.due_at}")
