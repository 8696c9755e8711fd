"""Record batches made by hand, and sent to a broker without a client that would refuse them."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING, NamedTuple

import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_UP_TO_CRC = struct.Struct(">qiibI")
_AFTER_CRC = struct.Struct(">hiqqqhii")
AT_MS = 1_700_000_000_000
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
APPEND_TIME = 0x08

_COMPRESS: dict[int, Callable[[bytes], bytes]] = {
    NONE: bytes,
    GZIP: gzip.compress,
    SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    LZ4: lambda data: bytes(cramjam.lz4.compress(data)),
    ZSTD: lambda data: bytes(cramjam.zstd.compress(data)),
}


class RawRecord(NamedTuple):
    """A record whose names of headers are bytes, and whose fields may be wrong."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    offset_delta: int | None = None
    """By default, its number in the batch."""


def varint(number: int) -> bytes:
    """A number as the format writes it."""
    left = number * 2 if number >= 0 else -number * 2 - 1
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def nullable(content: bytes | None) -> bytes:
    """Bytes with their length before them."""
    return varint(-1) if content is None else varint(len(content)) + content


def encoded(record: RawRecord, number: int) -> bytes:
    """A record as a batch contains it."""
    delta = number if record.offset_delta is None else record.offset_delta
    headers = b"".join(varint(len(name)) + name + nullable(content) for name, content in record.headers)
    body = b"\0" + varint(0) + varint(delta) + nullable(record.key) + nullable(record.value)
    body += varint(len(record.headers)) + headers
    return varint(len(body)) + body


def compressed(content: bytes, codec: int) -> bytes:
    """Bytes in one of the codecs."""
    return _COMPRESS[codec](content)


def batch_of(content: bytes, *, codec: int = NONE, base_offset: int = 0, at_ms: int = AT_MS, **fields: int) -> bytes:
    """A batch around encoded records. `fields` are those of the header that differ: `count`, `crc`, `magic`, ..."""
    count = fields.get("count", 1)
    body = compressed(content, codec)
    after_crc = _AFTER_CRC.pack(
        fields.get("attributes", codec),
        fields.get("last_offset_delta", count - 1),
        fields.get("first_timestamp", at_ms),
        fields.get("max_timestamp", at_ms),
        fields.get("producer_id", -1),
        fields.get("producer_epoch", -1),
        fields.get("base_sequence", -1),
        count,
    )
    crc = fields.get("crc", calc_crc32c(after_crc + body))
    head = _UP_TO_CRC.pack(base_offset, 9 + len(after_crc) + len(body), -1, fields.get("magic", 2), crc)
    return head + after_crc + body


def batch(*records: RawRecord, **options: int) -> bytes:
    """A batch of records."""
    content = b"".join(encoded(record, number) for number, record in enumerate(records))
    return batch_of(content, **{"count": len(records)} | options)


async def produce(bootstrap: str, topic: str, partition: int, *batches: bytes) -> list[tuple[int, int]]:
    """Send each batch as it is. Returns a broker's error code and the offset that it gave, for each."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        answers = []
        for each in batches:
            request = ProduceRequest(None, -1, 10_000, [(topic, [(partition, each)])])
            await client.set_topics([topic])
            response = await client.send(client.cluster.brokers().pop().nodeId, request)
            ((_, ((_, error, offset, *_),)),) = response.topics
            answers.append((error, offset))
        return answers
    finally:
        await client.close()
