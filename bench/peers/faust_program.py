"""The plain job on faust, at least once: `python -m bench.peers.faust_program BOOTSTRAP COMMANDS RESULTS GROUP …`.

The other arguments are the number of partitions and the store of its tables, `memory://` or `rocksdb://`.
"""

from __future__ import annotations

import sys
from typing import Any

import faust

REMEMBERED = list[Any] | None


def make_app(bootstrap: str, commands: str, results: str, group: str, partitions: str, store: str) -> Any:
    """An app whose tables are partitioned like the commands, so that a command and its key's state are together."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        store=store,
        topic_partitions=int(partitions),
        topic_replication_factor=1,
        topic_disable_leader=True,
        datadir="state",
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        processing_guarantee="at_least_once",
        stream_wait_empty=False,
        producer_max_batch_size=500_000,
        producer_linger=0.005,
    )
    balances = app.Table("balances", default=int)
    outcomes = app.Table("outcomes")
    answered = app.topic(results, key_serializer="raw", value_serializer="json")

    def answer(command: dict[str, Any]) -> dict[str, Any]:
        tenant, key = command["tenant_id"], f"{command['tenant_id']}/{command['idempotency_key']}"
        remembered = outcomes.get(key)
        if remembered is not None:
            return _result(command, *remembered)
        amount = command["amount"] if command["type"] == "purchase" else -command["amount"]
        balance = balances[tenant]
        code = "ok" if balance + amount >= 0 else "insufficient_funds"
        if code == "ok":
            balance += amount
            balances[tenant] = balance
        outcomes[key] = [code, balance]
        return _result(command, code, balance)

    async def work(stream: Any) -> None:
        async for command in stream:
            result = answer(command)
            await answered.send(key=command["tenant_id"].encode(), value=result)

    source = app.topic(commands, key_serializer="raw", value_serializer="json")
    app.agent(source, name="ledger")(work)
    return app


def _result(command: dict[str, Any], code: str, balance: int) -> dict[str, Any]:
    return {
        "idempotency_key": command["idempotency_key"],
        "tenant_id": command["tenant_id"],
        "code": code,
        "balance": {"available": balance},
    }


if __name__ == "__main__":
    app = make_app(*sys.argv[1:])
    faust.Worker(app, loglevel="warning").execute_from_commandline()
