"""`shieldx privacy erase`: destroys the data keys of a subject."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option, timeout_option
from shieldx.cli.privacy.commands import carry_out
from shieldx.cli.privacy.remains import Remainder, remains
from shieldx.cli.privacy.subject import actor_option, pseudonym_of, pseudonym_option
from shieldx.cli.rows import rows_of
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, print_table, printable, say
from shieldx.cli.user_name import user_name
from shieldx.domains.privacy.messages import Code, Erase, RequestKind
from shieldx.domains.privacy.tables import ERASURES, KEYS, REQUESTS, ErasureRow, RequestRow, SubjectKeys
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


class Erasure(msgspec.Struct, frozen=True):
    """What an erasure has done, or would do."""

    tenant_id: str
    subject: str
    """The pseudonym."""
    dry_run: bool
    code: Code
    keys: tuple[str, ...]
    requests: tuple[str, ...]
    at: str | None
    remains: list[dict[str, Any]]


@click.command()
@click.argument("subject")
@tenant_option
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--note", metavar="TEXT", default="", help="Why; must not name the person.")
@actor_option
@pseudonym_option
@timeout_option
@as_json
def command(
    subject: str,
    tenant_id: str,
    note: str,
    actor: str | None,
    timeout_s: float,
    *,
    dry_run: bool,
    is_pseudonym: bool,
    as_json: bool,
) -> None:
    """Destroy all data keys of SUBJECT: what they sealed can no longer be read, wherever it is.

    Postgres deletes what they sealed, the subject's requests for erasure count as answered, and the audit log gets an
    entry, which names the subject by its pseudonym. Prints what is left, and until when.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))

    async def run() -> Erasure:
        pseudonym = await pseudonym_of(platform, tenant_id, subject, is_pseudonym=is_pseudonym)
        if dry_run:
            return await _foreseen(platform, tenant_id, pseudonym)
        erase = Erase(tenant_id=tenant_id, subject=pseudonym, actor=actor or user_name(), note=note)
        return await _erased(platform, erase, timeout_s)

    with named_kafka_errors(platform.connection):
        erasure = asyncio.run(run())
    if json_wanted(as_json=as_json):
        print_json(erasure)
    else:
        _print(erasure)


async def _foreseen(platform: Platform, tenant_id: str, pseudonym: str) -> Erasure:
    rows = await rows_of(platform, KEYS, tenant_id, SubjectKeys)
    keys = tuple(key.key for row in rows if row.subject == pseudonym for key in row.keys)
    requests = tuple(
        row.request_id
        for row in await rows_of(platform, REQUESTS, tenant_id, RequestRow)
        if row.subject == pseudonym and row.kind is RequestKind.ERASURE and row.answered_at is None
    )
    code = Code.OK if keys else Code.NOTHING_TO_ERASE
    left = remains(platform.topics, datetime.now(UTC)) if keys else ()
    return _erasure(tenant_id, pseudonym, code, keys, requests, left=list(left))


async def _erased(platform: Platform, erase: Erase, timeout_s: float) -> Erasure:
    result = await carry_out(platform, erase, timeout_s)
    keys, requests = result.destroyed or (), result.requests or ()
    erased_at = result.at if keys else await _erased_before(platform, erase.tenant_id, erase.subject)
    left = () if erased_at is None else remains(platform.topics, datetime.fromisoformat(erased_at))
    return _erasure(erase.tenant_id, erase.subject, result.code, keys, requests, at=result.at, left=list(left))


async def _erased_before(platform: Platform, tenant_id: str, pseudonym: str) -> str | None:
    """When the subject was erased last."""
    rows = await rows_of(platform, ERASURES, tenant_id, ErasureRow)
    return next((row.erased_at for row in rows if row.subject == pseudonym), None)


def _erasure(
    tenant_id: str,
    pseudonym: str,
    code: Code,
    keys: tuple[str, ...],
    requests: tuple[str, ...],
    *,
    left: Sequence[Remainder],
    at: str | None = None,
) -> Erasure:
    return Erasure(
        tenant_id=tenant_id,
        subject=pseudonym,
        dry_run=at is None,
        code=code,
        keys=keys,
        requests=requests,
        at=at,
        remains=[each._asdict() for each in left],
    )


def _print(erasure: Erasure) -> None:
    named = f"subject {erasure.subject} of tenant {printable(erasure.tenant_id)}"
    keys = counted(len(erasure.keys), "data key")
    if erasure.code is Code.NOTHING_TO_ERASE:
        click.echo(f"{named} has no data key: nothing was sealed for it, or it was erased before")
    elif erasure.dry_run:
        click.echo(f"would destroy {keys} of {named}")
    else:
        click.echo(f"destroyed {keys} of {named} at {erasure.at}")
    for request in erasure.requests:
        click.echo(f"{'would answer' if erasure.dry_run else 'answered'} request {printable(request)}")
    if erasure.remains:
        click.echo("\nWhat is left, and until when:\n")
        print_table(
            Remainder._fields,
            [(left["what"], left["where"], left["until"] or "as long as it is kept") for left in erasure.remains],
        )
    if not erasure.dry_run and erasure.keys:
        say("Postgres deletes what these keys sealed once the sink privacy-erasures has read the erasure")
