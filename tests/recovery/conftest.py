from __future__ import annotations

import logging

# The clients' own complaints about a broker that is dead on purpose would bury the verdict.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
