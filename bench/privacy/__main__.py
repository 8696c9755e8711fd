"""`python -m bench.privacy encryption`: measures the protection of personal data."""

from __future__ import annotations

import sys

from bench.privacy import encryption

MEASUREMENTS = {"encryption": encryption.main}

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in MEASUREMENTS:
        sys.exit(f"usage: python -m bench.privacy {'|'.join(MEASUREMENTS)}")
    MEASUREMENTS[name](sys.argv[2:])
