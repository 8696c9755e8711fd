"""`shieldx topics acls`: lists the ACLs that agents and clients need."""

from __future__ import annotations

import os
from shlex import quote

import click

from shieldx.bootstrap.declared import declared
from shieldx.cli.stdout import as_json, print_json, print_table
from shieldx.engine.topics.acls import acls
from shieldx.settings import load_settings

BOOTSTRAP = "HOST:PORT"
ADMINISTRATOR = "--command-config admin.properties"
"""The login of a user that may add ACLs; docs/how-to/security.md describes the file."""


@click.command("acls")
@as_json
@click.option(
    "--principal-prefix",
    metavar="TEXT",
    help="Prefix of user names, before the agent's name or `client`. Default: SHIELDX_APPLICATION and a dot.",
)
@click.option("--commands", is_flag=True, help="Print kafka-acls.sh commands that add them.")
def command(*, as_json: bool, principal_prefix: str | None, commands: bool) -> None:
    """List the ACLs that each agent and a client need, derived from the agents' declarations. Does not need Kafka.

    All of them are required, and they are sufficient: everything else may be denied.
    """
    settings = load_settings(os.environ)
    application = settings.application
    prefix = f"{application}." if principal_prefix is None else principal_prefix
    known = declared(settings)
    found = acls(known.agents.values(), known.topics, application=application, principal_prefix=prefix)
    if commands:
        address = quote(settings.kafka_bootstrap or BOOTSTRAP)
        for acl in found:
            click.echo(f"kafka-acls.sh --bootstrap-server {address} {ADMINISTRATOR} {acl.command}")
    elif as_json:
        for acl in found:
            print_json(acl)
    else:
        rows = [(acl.principal, acl.resource, acl.name, acl.pattern, acl.operation, acl.why) for acl in found]
        print_table(("user", "resource", "name", "pattern", "operation", "why"), rows)
