"""`shieldx privacy answer`: records the answer to a request."""

from __future__ import annotations

import asyncio
import os

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option, timeout_option
from shieldx.cli.privacy.commands import carry_out, refuse
from shieldx.cli.privacy.subject import actor_option
from shieldx.cli.stdout import printable, say
from shieldx.cli.user_name import user_name
from shieldx.domains.privacy.messages import AnswerRequest
from shieldx.settings import load_settings


@click.command()
@click.argument("request_id")
@tenant_option
@click.option("--note", metavar="TEXT", default="", help="How it was answered. Must not name the person.")
@actor_option
@timeout_option
def command(request_id: str, tenant_id: str, note: str, actor: str | None, timeout_s: float) -> None:
    """Record that the request REQUEST_ID was answered."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    answer = AnswerRequest(tenant_id=tenant_id, request_id=request_id, actor=actor or user_name(), answer=note)
    with named_kafka_errors(platform.connection):
        refuse(asyncio.run(carry_out(platform, answer, timeout_s)))
    say(f"request {printable(request_id)} is answered")
