"""Options that several commands have."""

from __future__ import annotations

import click

tenant_option = click.option("--tenant", "tenant_id", metavar="T", required=True, help="The tenant.")
timeout_option = click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for the next answer.",
)
