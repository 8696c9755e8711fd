"""Entries of the audit log as commands print them: masked, unless they are asked for as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.masking import masker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.privacy.masker import Masker
    from shieldx.settings import Settings

unmasked_option = click.option(
    "--unmasked", is_flag=True, help="Print entries as they are, which may be personal data: to recompute a hash."
)


def printed_entry(settings: Settings, *, unmasked: bool) -> Callable[[AuditEntry], AuditEntry]:
    """What to print of an entry.

    Raises:
        FixConfiguration: the file of own masking rules cannot be read, or a rule in it is wrong.
    """
    if unmasked:
        return lambda entry: entry
    masker = masker_of(settings)
    return lambda entry: masked_entry(entry, masker)


def masked_entry(entry: AuditEntry, masker: Masker) -> AuditEntry:
    """The entry with what its appender worded masked. Its hash and MAC are still those of the entry in the log."""
    return msgspec.structs.replace(
        entry,
        actor=None if entry.actor is None else masker.mask(entry.actor),
        subject=masker.mask(entry.subject),
        payload=None if entry.payload is None else masker.mask(entry.payload),
    )
