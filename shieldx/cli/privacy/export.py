"""`shieldx privacy export`: writes everything that is kept of a subject."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.moment import rfc3339
from shieldx.cli.options import tenant_option
from shieldx.cli.privacy.findings import Findings
from shieldx.cli.privacy.opening import subject_opener
from shieldx.cli.privacy.subject import pseudonym_of, pseudonym_option
from shieldx.cli.stdout import counted, say
from shieldx.cli.whole_file import output_option, whole_file
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

FORMAT = "shieldx.subject-export/1"


@click.command()
@click.argument("subject")
@tenant_option
@output_option
@pseudonym_option
def command(subject: str, tenant_id: str, output: Path, *, is_pseudonym: bool) -> None:
    """Write everything that is kept of SUBJECT as JSON lines: what was sealed for it, opened, and what names it.

    That is personal data: give the file only to the person. Entries of the audit log whose actor or subject is SUBJECT
    are included only if SUBJECT is a name.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))

    async def write(file: BinaryIO) -> Counter[str]:
        keks = key_encryption(platform.settings)
        pseudonym = await pseudonym_of(platform, tenant_id, subject, is_pseudonym=is_pseudonym)
        opener = await subject_opener(platform, keks, tenant_id, pseudonym)
        findings = Findings(platform, tenant_id, pseudonym, None if is_pseudonym else subject, opener)
        kinds: Counter[str] = Counter()
        head = {"kind": "export", "format": FORMAT, "tenant_id": tenant_id, "subject": pseudonym}
        file.write(msgspec.json.encode(head | {"at": rfc3339(datetime.now(UTC))}) + b"\n")
        async for finding in findings.all():
            file.write(msgspec.json.encode(finding) + b"\n")
            kinds[finding["kind"]] += 1
        return kinds

    with named_kafka_errors(platform.connection), whole_file(output) as file:
        kinds = asyncio.run(write(file))
    found = [counted(number, kind.replace("_", " "), _PLURALS.get(kind)) for kind, number in kinds.items()]
    say(", ".join(found) or "nothing is kept of this subject")


_PLURALS = {"entry": "entries"}
