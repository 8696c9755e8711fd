"""`shieldx privacy`: commands for personal data."""

from __future__ import annotations

import click

from shieldx.cli.lazy_group import CommandEntry, LazyGroup

COMMANDS = {
    "fields": CommandEntry("fields", "List every field: personal, secret or neither, and how long it lives."),
    "keys": CommandEntry("keys", "Create a privacy keyring, or add a key to one."),
    "erase": CommandEntry("erase", "Destroy the data keys of a subject, so that nobody can read what they sealed."),
    "export": CommandEntry("export", "Write everything that is kept of a subject to a file."),
    "requests": CommandEntry("requests", "List the requests of subjects and when each is due."),
    "request": CommandEntry("request", "Record a request of a subject."),
    "answer": CommandEntry("answer", "Record the answer to a request."),
    "rewrap": CommandEntry("rewrap", "Wrap all data keys with the current key-encryption key."),
    "replay-erasures": CommandEntry("replay_erasures", "Erase again, after a restore, what the audit log names."),
}


@click.group(cls=LazyGroup, package="shieldx.cli.privacy", table=COMMANDS)
def command() -> None:
    """Erase and export what is kept of a person, and answer requests in time.

    A SUBJECT is the name by which a tenant knows a person, such as user/7. ShieldX stores only its pseudonym.
    """
