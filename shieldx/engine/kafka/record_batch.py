"""Record batches as a broker sends them, read without trusting what a producer wrote into them.

A broker stores what it can parse itself, which is more than aiokafka can: names of headers that are not UTF-8, offsets
out of order, a few kilobytes that decompress to gigabytes. The format is that of
https://kafka.apache.org/documentation/#recordbatch.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import cramjam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_RECORD_BYTES = 1_048_576
"""Records are refused beyond this decompressed size. A broker with defaults accepts no larger uncompressed batch."""
MAX_BATCH_BYTES = 16 * 1_048_576
"""Batches are refused beyond this decompressed size, which is the most that decompressing one takes."""

RECORD_BATCH = 2
"""The version of the format that Kafka calls a record batch."""

_HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES = _HEADER.size
_LENGTH = struct.Struct(">i")
_LOG_OVERHEAD = 12
"""The bytes of a batch before those that its length counts."""
_LEAST_LENGTH = 14
"""The length of the smallest message of format 0."""
_MAGIC_AT = 16
_CRC_END = 21
_CODEC_MASK = 0x07
_APPEND_TIME = 0x08
_TRANSACTIONAL = 0x10
_CONTROL = 0x20
_FIRST_GUESS_BYTES = 65_536
_GUESSED_RATIO = 16
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_VARINT_BYTES = 10
_LAST_BYTE = 0x7F
"""The largest byte that ends a number."""


class BatchRefusedError(ValueError):
    """The content of a batch cannot be decompressed, or is too large."""


class MalformedRecordError(ValueError):
    """The bytes of a record do not follow the format."""


class BatchHeader(NamedTuple):
    """The header of a batch of format 2."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last_offset(self) -> int:
        """The offset of the last record, or of the first if the header claims the impossible."""
        return self.base_offset + max(0, self.last_offset_delta)

    @property
    def is_whole(self) -> bool:
        """Whether compaction has removed no record, so that the records have consecutive offsets."""
        return self.record_count == self.last_offset_delta + 1

    @property
    def is_transactional(self) -> bool:
        """Whether a later marker says that the batch is committed or aborted."""
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        """Whether the batch is a broker's marker."""
        return bool(self.attributes & _CONTROL)


class ParsedRecord(NamedTuple):
    """A record as far as it can be read. `malformed` says why the remaining fields are missing."""

    offset: int
    content: memoryview
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    malformed: str | None = None


class FetchedBatches:
    """The batches of one partition in a response to a fetch. The last one may be cut off, and is left out."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._begin = 0

    def size_in_bytes(self) -> int:
        """The size of the whole response."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether another batch is complete."""
        return self._next_end() <= len(self._data)

    def next_batch(self) -> memoryview:
        """The bytes of the next batch."""
        begin, self._begin = self._begin, self._next_end()
        return self._data[begin : self._begin]

    def _next_end(self) -> int:
        """Where the next batch ends; beyond the data if it is incomplete."""
        if self._begin + _LOG_OVERHEAD + _LEAST_LENGTH > len(self._data):
            return len(self._data) + 1
        (length,) = _LENGTH.unpack_from(self._data, self._begin + 8)
        if length < _LEAST_LENGTH:  # nothing says where the next batch begins
            return len(self._data)
        return self._begin + _LOG_OVERHEAD + int(length)


def magic_of(batch: memoryview) -> int:
    """The version of the batch's format."""
    return batch[_MAGIC_AT]


def is_compressed(message: memoryview) -> bool:
    """Whether a message of format 0 or 1 contains compressed ones."""
    return bool(message[_MAGIC_AT + 1] & _CODEC_MASK)


def base_offset_of(batch: memoryview) -> int:
    """The offset of the first record of a batch of format 2, and of the only message of an older one."""
    return int.from_bytes(batch[:8], "big", signed=True)


def header_of(batch: memoryview) -> BatchHeader:
    """Read the header of a batch of format 2, which has at least `HEADER_BYTES` bytes."""
    return BatchHeader._make(_HEADER.unpack_from(batch))


def decompressed(batch: memoryview, header: BatchHeader) -> memoryview | bytes:
    """The same batch without compression.

    Raises:
        BatchRefusedError: its codec is unknown, its content is damaged, or exceeds `MAX_BATCH_BYTES`.
    """
    codec = header.attributes & _CODEC_MASK
    if not codec:
        return batch
    name, decompress = _CODECS.get(codec, (None, None))
    if decompress is None:
        raise BatchRefusedError(f"compression codec {codec} is unknown")
    try:
        content = decompress(bytes(batch[HEADER_BYTES:]))
    except (cramjam.DecompressionError, zlib.error, ValueError) as error:
        raise BatchRefusedError(f"the batch is no {name} data of at most {MAX_BATCH_BYTES} bytes: {error}") from error
    plain = (header.attributes & ~_CODEC_MASK).to_bytes(2, "big", signed=True)
    return b"".join((batch[:_CRC_END], plain, batch[_CRC_END + 2 : HEADER_BYTES], content))


def content_bytes(batch: memoryview | bytes) -> int:
    """The size of all records of an uncompressed batch."""
    return len(batch) - HEADER_BYTES


def parse_records(batch: memoryview | bytes, header: BatchHeader) -> Iterator[ParsedRecord]:
    """Read the records of an uncompressed batch, as far as each can be read.

    Records that follow bytes without a structure are one malformed record at the batch's last offset.
    """
    reader = _Reader(memoryview(batch), HEADER_BYTES)
    offset = header.base_offset - 1
    for number in range(header.record_count):
        begin = reader.at
        try:
            content = reader.take(reader.varint())
            record = _parsed(content, header)
            in_order = record.offset == header.base_offset + number if header.is_whole else record.offset > offset
            _check(in_order, "its offset is out of order")
        except MalformedRecordError as error:
            rest = memoryview(batch)[begin:]
            yield ParsedRecord(header.last_offset, rest, malformed=_of_the_rest(number, header.record_count, error))
            return
        offset = record.offset
        yield record
    if reader.at != len(batch):
        rest = memoryview(batch)[reader.at :]
        yield ParsedRecord(header.last_offset, rest, malformed="there are bytes after the last record of its batch")


def _of_the_rest(number: int, count: int, error: MalformedRecordError) -> str:
    first = f"record {number + 1} of its batch cannot be read: {error}"
    return first if number + 1 == count else f"{first}. Nor can those after it, up to record {count}"


def _parsed(content: memoryview, header: BatchHeader) -> ParsedRecord:
    """Read one record. Raises MalformedRecordError only if not even its offset can be read."""
    reader = _Reader(content, 1)  # after the attributes, which have no meaning yet
    delta_ms = reader.varint()
    timestamp = header.max_timestamp if header.attributes & _APPEND_TIME else header.first_timestamp + delta_ms
    offset = header.base_offset + reader.varint()
    if len(content) > MAX_RECORD_BYTES:
        too_large = f"it has {len(content)} bytes, and the limit is {MAX_RECORD_BYTES}"
        return ParsedRecord(offset, content, timestamp, malformed=too_large)
    try:
        key, value = reader.nullable(), reader.nullable()
        headers = tuple((_name(reader.take(reader.varint())), reader.nullable()) for _ in range(reader.count()))
        _check(reader.at == len(content), "there are bytes after its last header")
    except MalformedRecordError as error:
        return ParsedRecord(offset, content, timestamp, malformed=str(error))
    return ParsedRecord(offset, content, timestamp, key, value, headers)


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise MalformedRecordError(otherwise)


def _name(encoded: memoryview) -> str:
    try:
        return str(encoded, "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRecordError("the name of a header is not UTF-8") from error


class _Reader:
    """Reads the fields of a record one after the other."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data = data
        self.at = at

    def varint(self) -> int:
        """A signed number, of which each byte holds seven bits."""
        raw = shift = 0
        for byte in self._data[self.at : self.at + _VARINT_BYTES]:
            self.at += 1
            raw |= (byte & 0x7F) << shift
            if byte <= _LAST_BYTE:
                return (raw >> 1) ^ -(raw & 1)
            shift += 7
        raise MalformedRecordError("a number is cut off")

    def take(self, length: int) -> memoryview:
        """The next `length` bytes."""
        if not 0 <= length <= len(self._data) - self.at:
            raise MalformedRecordError(f"a field of {length} bytes does not fit")
        self.at += length
        return self._data[self.at - length : self.at]

    def nullable(self) -> bytes | None:
        """Bytes with their length before them; a negative length means null."""
        length = self.varint()
        return None if length < 0 else bytes(self.take(length))

    def count(self) -> int:
        """The number of headers."""
        count = self.varint()
        if not 0 <= count <= len(self._data) - self.at:
            raise MalformedRecordError(f"it cannot have {count} headers")
        return count


def _into_a_buffer(decompress_into: Callable[[bytes, bytearray], int], data: bytes) -> memoryview:
    """Decompress into a buffer of bounded size. cramjam cannot say how large the result will be."""
    size = min(MAX_BATCH_BYTES, max(_FIRST_GUESS_BYTES, _GUESSED_RATIO * len(data)))
    while True:
        buffer = bytearray(size)
        try:
            return memoryview(buffer)[: decompress_into(data, buffer)]
        except cramjam.DecompressionError:
            if size == MAX_BATCH_BYTES:
                raise
        size = min(MAX_BATCH_BYTES, _GUESSED_RATIO * size)


def _gzip(data: bytes) -> bytes:
    found = b""
    while data:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        found += member.decompress(data, MAX_BATCH_BYTES + 1 - len(found))
        if len(found) > MAX_BATCH_BYTES:
            raise ValueError("it is larger")
        if not member.eof:
            raise ValueError("it is cut off")
        data = member.unused_data
    return found


def _snappy(data: bytes) -> bytes:
    """Decompress snappy's own format, and the blocks in which Java's clients pack it."""
    if not data.startswith(_XERIAL_MAGIC):
        return _snappy_block(data, MAX_BATCH_BYTES)
    found, at = [], _XERIAL_HEADER_BYTES
    room = MAX_BATCH_BYTES
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise ValueError("it is cut off")
        found.append(_snappy_block(data[at + 4 : end], room))
        room -= len(found[-1])
        at = end
    return b"".join(found)


def _snappy_block(block: bytes, room: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise ValueError("it is larger")
    return bytes(cramjam.snappy.decompress_raw(block))


def _lz4(data: bytes) -> memoryview:
    return _into_a_buffer(cramjam.lz4.decompress_into, data)


def _zstd(data: bytes) -> memoryview:
    return _into_a_buffer(cramjam.zstd.decompress_into, data)


_CODECS: dict[int, tuple[str, Callable[[bytes], bytes | memoryview]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
