"""`shieldx audit append`: appends a single entry."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
import msgspec

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.chaining import Outgoing, send_and_await
from shieldx.cli.audit.masked_entry import printed_entry, unmasked_option
from shieldx.cli.committed_records import partitions_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.moment import TimeType, rfc3339
from shieldx.cli.stdout import print_json, printable, say
from shieldx.domains.audit.entry import AuditEntry
from shieldx.domains.audit.tables import APPENDS
from shieldx.engine.tasks.codec import DECODE_ERRORS, Codec, Undecodable, encode
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import ShieldXError
from shieldx.messages import AuditAppend, DeadLetter, Sealed
from shieldx.sealer import Sealer
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from typing import BinaryIO

    from shieldx.cli.audit.chaining import Fate


class CorrectAppend(ShieldXError):
    """The audit agent has dead-lettered the append. The message gives the reason.

    Correct the append as the reason says and append it again.
    """


class StartAuditAgent(ShieldXError):
    """No response arrived in time. The append stays in its topic until an audit agent reads it.

    Start the agent `audit`; the append need not be repeated.
    """


@click.command()
@click.option("--tenant", "tenant_id", metavar="T", required=True, help="The tenant of the entry.")
@click.option("--action", metavar="A", required=True, help="What was done, for example `user.delete`.")
@click.option("--subject", metavar="S", required=True, help="The object of the action, for example `user/7`.")
@click.option("--outcome", metavar="O", default="ok", show_default=True, help="The outcome of the action.")
@click.option("--actor", metavar="N", help="Who performed the action.")
@click.option("--at", type=TimeType(), help="Time of the action. Default: now.")
@click.option("--key", metavar="KEY", help="Idempotency key, which identifies repeats. Default: random.")
@click.option("--payload", metavar="JSON", help="Any JSON value, stored byte for byte.")
@click.option("--payload-file", type=click.File("rb"), help="A file with the payload; `-` is stdin.")
@click.option("--personal", is_flag=True, help="The payload is personal data and must be sealed.")
@click.option("--seal-for", metavar="NAME", help="Seal the payload with a data key of this person.")
@click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for the entry.",
)
@unmasked_option
def command(
    *,
    payload: str | None,
    payload_file: BinaryIO | None,
    seal_for: str | None,
    timeout_s: float,
    key: str | None,
    at: datetime | None,
    unmasked: bool,
    **fields: Any,
) -> None:
    """Append one entry, and print it as JSON, with personal data masked, once it is chained.

    If the same append (same key and content, including --at) was chained within the last 24 hours, no second entry is
    created, and only a note is printed. The exit code is 1 if the append was refused or no response arrived.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    printed = printed_entry(platform.settings, unmasked=unmasked)
    codec = Codec(platform.topics, [APPENDS])
    append = AuditAppend(idempotency_key=key or str(uuid4()), at=rfc3339(at or datetime.now(UTC)), **fields)
    _check(codec, append)
    text = _text(payload, payload_file)
    _check_payload(append, text, seal_for)
    with named_kafka_errors(platform.connection):
        if text is not None:
            if seal_for is not None:
                text = asyncio.run(_sealed(platform, append, text, seal_for, timeout_s))
            append = msgspec.structs.replace(append, payload=msgspec.Raw(text))
        record = Outgoing(append.tenant_id.encode(), encode(append), codec.schema_header(AuditAppend))
        fate = asyncio.run(_send(platform, append.tenant_id, record, timeout_s))
    _tell(printed(fate) if isinstance(fate, AuditEntry) else fate, append, timeout_s)


def _text(payload: str | None, file: BinaryIO | None) -> bytes | None:
    """The payload as JSON.

    Raises:
        click.UsageError: The payload was given twice or is not JSON. It is never quoted, since it may be personal data.
    """
    if payload is not None and file is not None:
        raise click.UsageError("use either --payload or --payload-file, not both")
    text = file.read() if file is not None else None if payload is None else os.fsencode(payload)
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
        text.decode()
    except DECODE_ERRORS:
        raise click.UsageError("the payload is not a JSON value in UTF-8; a JSON string needs double quotes") from None
    return text.strip()


def _check_payload(append: AuditAppend, payload: bytes | None, seal_for: str | None) -> None:
    """Check that no personal payload would be sent unsealed.

    Raises:
        click.UsageError: It would, or the options conflict.
    """
    if (append.personal or seal_for is not None) and payload is None:
        raise click.UsageError("--personal and --seal-for require a payload")
    if seal_for is not None and not append.personal:
        raise click.UsageError("a sealed payload is personal: add --personal")
    if append.personal and seal_for is None and payload is not None:
        try:
            msgspec.json.decode(payload, type=Sealed)
        except msgspec.MsgspecError:
            raise click.UsageError("a personal payload must be sealed: add --seal-for") from None


async def _sealed(platform: Platform, append: AuditAppend, payload: bytes, subject: str, timeout_s: float) -> bytes:
    async with Sealer(
        platform.connection, key_encryption(platform.settings), encryptions=1, timeout_s=timeout_s
    ) as sealer:
        sealed = await sealer.seal(
            payload,
            tenant_id=append.tenant_id,
            subject=subject,
            topic=APPENDS,
            field="payload",
            idempotency_key=append.idempotency_key,
        )
    return encode(sealed)


def _check(codec: Codec, append: AuditAppend) -> None:
    """Reject immediately what the audit agent could not read.

    Raises:
        click.UsageError: The message says what is wrong.
    """
    try:
        codec.decode(APPENDS, encode(append))
    except UnicodeEncodeError:
        raise click.UsageError("the options are not UTF-8") from None
    except Undecodable as error:
        raise click.UsageError(f"invalid append: {error}") from error


async def _send(platform: Platform, tenant_id: str, record: Outgoing, timeout_s: float) -> Fate | None:
    home = home_partition(tenant_id, await partitions_of(platform, APPENDS))
    return (await send_and_await(platform, APPENDS, {home: record}, timeout_s)).get(home)


def _tell(fate: Fate | None, append: AuditAppend, timeout_s: float) -> None:
    match fate:
        case AuditEntry():
            print_json(fate)
        case DeadLetter(reason=reason, detail=detail):
            raise CorrectAppend(f"the append was dead-lettered: {reason}: {detail}")
        case None:
            raise StartAuditAgent(
                f"no response to the append within {timeout_s:g} s: the audit agent may not be running. The append is "
                f"not lost: the agent chains key {printable(append.idempotency_key)} once it runs"
            )
        case _:
            say(
                f"the same append, key {printable(append.idempotency_key)}, was already chained within the last 24 "
                "hours: no second entry"
            )
