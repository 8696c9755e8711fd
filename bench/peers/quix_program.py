"""The plain job on Quix Streams, exactly once.

`python -m bench.peers.quix_program BOOTSTRAP COMMANDS RESULTS GROUP`
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application

COMMIT_INTERVAL_S = 0.1
"""Each commit is a transaction over all partitions: a shorter interval reduces throughput, a longer one adds
latency."""
STATE_FOLDER = "state"


def answer(command: dict[str, Any], state: Any) -> dict[str, Any]:
    """The result of one command. `state` is its tenant's state."""
    key = "key/" + command["idempotency_key"]
    remembered = state.get(key)
    if remembered is not None:
        return _result(command, *remembered)
    amount = command["amount"] if command["type"] == "purchase" else -command["amount"]
    balance = state.get("balance", 0)
    code = "ok" if balance + amount >= 0 else "insufficient_funds"
    if code == "ok":
        balance += amount
        state.set("balance", balance)
    state.set(key, [code, balance])
    return _result(command, code, balance)


def _result(command: dict[str, Any], code: str, balance: int) -> dict[str, Any]:
    return {
        "idempotency_key": command["idempotency_key"],
        "tenant_id": command["tenant_id"],
        "code": code,
        "balance": {"available": balance},
    }


def main(bootstrap: str, commands: str, results: str, group: str) -> None:
    """Answer commands until SIGTERM."""
    application = Application(
        broker_address=bootstrap,
        consumer_group=group,
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_INTERVAL_S,
        auto_offset_reset="earliest",
        state_dir=STATE_FOLDER,
        auto_create_topics=True,
        loglevel="WARNING",
    )
    frame = application.dataframe(application.topic(commands, key_deserializer="str"))
    frame = frame.apply(answer, stateful=True)
    frame.to_topic(application.topic(results, key_serializer="str"))
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
