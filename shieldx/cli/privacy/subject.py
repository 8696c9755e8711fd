"""The subject that a command is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.key_encryption import key_encryption

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform

_PSEUDONYM = re.compile(r"[0-9a-f]{32}")

pseudonym_option = click.option(
    "--pseudonym", "is_pseudonym", is_flag=True, help="SUBJECT is a pseudonym, as requests and the audit log have it."
)


async def pseudonym_of(platform: Platform, tenant_id: str, subject: str, *, is_pseudonym: bool) -> str:
    """The pseudonym of a subject.

    Raises:
        click.UsageError: It was said to be one and is not.
        FixConfiguration: The keys are not configured.
    """
    if is_pseudonym:
        if not _PSEUDONYM.fullmatch(subject):
            raise click.UsageError("a pseudonym has 32 hexadecimal digits; without --pseudonym, SUBJECT is a name")
        return subject
    try:
        (tenant_id + subject).encode()
    except UnicodeEncodeError:
        raise click.UsageError("SUBJECT or --tenant is not UTF-8") from None
    if not subject:
        raise click.UsageError("SUBJECT is empty")
    return await key_encryption(platform.settings).pseudonym(tenant_id, subject)


actor_option = click.option("--actor", metavar="NAME", help="Who does it, for the audit log. Default: your user name.")
