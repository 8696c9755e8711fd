"""The declarations of the privacy agent's tables."""

from __future__ import annotations

from shieldx.domains.privacy import tables
from shieldx.domains.privacy.tables import ErasureRow, RequestRow, SubjectKeys
from shieldx.state.keyed_table import keyed_table

KEYS = keyed_table(tables.KEYS, SubjectKeys, erasable=True)
ERASURES = keyed_table(tables.ERASURES, ErasureRow, resident=True)
REQUESTS = keyed_table(tables.REQUESTS, RequestRow, resident=True)
STATE = (KEYS, ERASURES, REQUESTS)
