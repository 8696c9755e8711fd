from __future__ import annotations

import logging
import sys
from pathlib import Path

# The sequential model of the ledger stands with the ledger's own tests.
sys.path.append(str(Path(__file__).parent.parent / "credits"))

# The clients' own complaints about a broker that is dead on purpose would bury the verdict.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
