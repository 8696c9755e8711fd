"""The topic names of the audit log."""

from __future__ import annotations

APPENDS = "audit.appends"
DECISIONS = "audit.decisions"
ROTATIONS = "audit.rotations"
LOG = "audit.log"
RESULTS = "audit.results"
CHECKPOINTS = "audit.checkpoints"
REMEMBERED = "audit.remembered"
