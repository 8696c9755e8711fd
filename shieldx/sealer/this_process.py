"""Counts the forks of this process."""

from __future__ import annotations

import os

from shieldx.privacy.grant import ForkCount

FORKS = ForkCount()
os.register_at_fork(after_in_child=FORKS.forked)
