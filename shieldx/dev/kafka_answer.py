"""Waiting until a Kafka broker answers."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_POLL_S = 0.01


async def wait_for_answer(port: int) -> str:
    """Wait until the broker on 127.0.0.1 names itself as alive, and return its cluster id.

    Waits for ever: bound it from outside.
    """
    while True:
        # A bare connection first, since a Kafka client logs every refusal as an error.
        if await _listens(port) and (cluster_id := await _cluster_id(port)) is not None:
            return cluster_id
        await asyncio.sleep(_POLL_S)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _cluster_id(port: int) -> str | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", client_id="shieldx-dev")
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError):
        return None
    finally:
        await admin.close()
    return str(cluster["cluster_id"]) if cluster["brokers"] else None
