"""Where the audit log can be read."""

from __future__ import annotations

import click

KAFKA, POSTGRES = "kafka", "postgres"
SOURCES = click.Choice([KAFKA, POSTGRES])
