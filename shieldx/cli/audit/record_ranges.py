"""What `stored_heads` reads by, from where it stands now."""

from __future__ import annotations

from shieldx.cli.committed_records import records_in, spans_of
from shieldx.engine.span import steps_back

__all__ = ["records_in", "spans_of", "steps_back"]
