"""Waiting until a Kafka broker responds."""

import asyncio
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from shieldx.dev.server_properties import Node

_POLL_S = 0.01
_QUORUM_POLL_S = 0.05
"""The poll interval for a broker that listens but waits for the others, since three of them share the machine."""


async def wait_for_answer(node: Node) -> str:
    """Wait until the broker lists itself as alive, and return its cluster id.

    There is no time limit; the caller sets one.
    """
    while True:
        # Try a bare connection first, since a Kafka client logs every refused one as an error.
        if not await _listens(node.ports.broker):
            await asyncio.sleep(_POLL_S)
        elif (cluster_id := await _cluster_id(node)) is not None:
            return cluster_id
        else:
            await asyncio.sleep(_QUORUM_POLL_S)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _cluster_id(node: Node) -> str | None:
    """Ask this broker itself. An admin client may ask any broker of the cluster, which may have read more metadata."""
    options: dict[str, Any] = {} if node.security is None else node.security.connection()
    try:
        opened = await create_conn("127.0.0.1", node.ports.broker, client_id="shieldx-dev", **options)
        try:
            cluster = (await opened.send(MetadataRequest([]))).to_object()
        finally:
            opened.close()
    except (KafkaError, OSError, TimeoutError):
        return None
    alive = {broker["node_id"] for broker in cluster["brokers"]}
    return str(cluster["cluster_id"]) if node.number in alive else None
