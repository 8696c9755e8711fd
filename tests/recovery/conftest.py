from __future__ import annotations

import logging
import sys
from pathlib import Path

# The sequential model of the ledger stands with the ledger's own tests, the second verifier with the audit log's.
sys.path += [str(Path(__file__).parent.parent / folder) for folder in ("credits", "audit")]

# The clients' own complaints about a broker that is dead on purpose would bury the verdict.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
