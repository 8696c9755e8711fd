"""Batches are read by their bytes alone, with bounded memory, whatever a producer wrote into them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from shieldx.engine.kafka.record_batch import (
    HEADER_BYTES,
    MAX_BATCH_BYTES,
    MAX_RECORD_BYTES,
    BatchRefusedError,
    FetchedBatches,
    ParsedRecord,
    decompressed,
    header_of,
    parse_records,
)
from tests.engine.kafka import raw_batches
from tests.engine.kafka.raw_batches import GZIP, LZ4, NONE, SNAPPY, ZSTD, RawRecord, batch, batch_of, encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD = RawRecord(b"value", b"key", [(b"name", b"content"), (b"null", None)])
LARGE = RawRecord(bytes(MAX_RECORD_BYTES + 1))
BOMB = RawRecord(bytes(MAX_BATCH_BYTES + 1))
XERIAL = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
COMPRESSED = (GZIP, SNAPPY, LZ4, ZSTD)


def read(raw: bytes) -> list[ParsedRecord]:
    """The records of a batch."""
    whole = memoryview(raw)
    return list(parse_records(decompressed(whole, header_of(whole)), header_of(whole)))


def reasons(raw: bytes) -> list[str | None]:
    return [record.malformed for record in read(raw)]


@pytest.mark.parametrize("codec", [NONE, *COMPRESSED])
def test_records_are_read(codec: int) -> None:
    first, second = read(batch(GOOD, RawRecord(None), codec=codec, base_offset=7, at_ms=12))
    assert (first.offset, first.timestamp, first.key, first.value) == (7, 12, b"key", b"value")
    assert first.headers == (("name", b"content"), ("null", None))
    assert (second.offset, second.key, second.value, second.headers) == (8, None, None, ())


@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=40),
            st.none() | st.binary(max_size=40),
            st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=10)), max_size=3),
        ),
        min_size=1,
        max_size=10,
    ),
    st.integers(-(2**40), 2**40),
)
def test_what_aiokafka_writes_is_read_as_aiokafka_reads_it(
    records: Sequence[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]], at_ms: int
) -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, (key, value, headers) in enumerate(records):
        builder.append(number, at_ms + number, key, value, headers)
    raw = bytes(builder.build())
    theirs = [(it.offset, it.timestamp, it.key, it.value, tuple(it.headers)) for it in DefaultRecordBatch(raw)]
    assert [(it.offset, it.timestamp, it.key, it.value, it.headers) for it in read(raw)] == theirs


def test_the_broker_s_time_is_that_of_every_record() -> None:
    raw = batch(GOOD, attributes=raw_batches.APPEND_TIME, max_timestamp=99)
    assert read(raw)[0].timestamp == 99


def test_a_name_that_is_not_utf_8_leaves_the_other_records_readable() -> None:
    assert reasons(batch(GOOD, RawRecord(b"", headers=[(b"\xff", b"")]), GOOD)) == [
        None,
        "the name of a header is not UTF-8",
        None,
    ]


@pytest.mark.parametrize("deltas", [(0, 0), (1, 0), (0, 2), (-1, 0)])
def test_offsets_out_of_order_are_not_followed(deltas: tuple[int, int]) -> None:
    raw = batch(*(GOOD._replace(offset_delta=delta) for delta in deltas), base_offset=10)
    *before, rest = read(raw)
    assert [record.offset for record in before] == [10][: len(before)]
    assert rest.offset == 11, "the batch's last offset, so that no other record has it"
    assert rest.malformed is not None
    assert "out of order" in rest.malformed


def test_compaction_leaves_gaps() -> None:
    raw = batch(*(GOOD._replace(offset_delta=delta) for delta in (1, 4)), last_offset_delta=9)
    assert [record.offset for record in read(raw)] == [1, 4]
    assert reasons(batch(*(GOOD._replace(offset_delta=4) for _ in range(2)), last_offset_delta=9))[0] is None
    assert "out of order" in str(
        reasons(batch(*(GOOD._replace(offset_delta=4) for _ in range(2)), last_offset_delta=9))
    )


def test_bytes_without_structure_are_one_record_at_the_last_offset() -> None:
    raw = batch_of(encoded(GOOD, 0) + b"\xff" * 20, count=5, base_offset=100)
    good, rest = read(raw)
    assert good.malformed is None
    assert (rest.offset, bytes(rest.content)) == (104, b"\xff" * 20)
    assert (
        read(batch_of(encoded(GOOD, 0) + b"more"))[1].malformed == "there are bytes after the last record of its batch"
    )


def test_a_large_record_is_refused_by_its_size_alone() -> None:
    large, good = read(batch(LARGE, GOOD, codec=ZSTD))
    assert large.malformed == f"it has {len(encoded(LARGE, 0)) - 4} bytes, and the limit is {MAX_RECORD_BYTES}"
    assert good.malformed is None


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_large_batch_is_refused_without_being_in_memory(codec: int) -> None:
    raw = memoryview(batch(BOMB, codec=codec))
    with pytest.raises(BatchRefusedError, match=str(MAX_BATCH_BYTES)):
        decompressed(raw, header_of(raw))


@pytest.mark.parametrize("codec", COMPRESSED)
def test_the_largest_batch_is_read(codec: int) -> None:
    room = MAX_BATCH_BYTES - len(encoded(LARGE, 0))
    rest = RawRecord(bytes(room - 30))
    assert len(read(batch(LARGE, rest, codec=codec))) == 2


def test_blocks_of_snappy_are_joined_and_counted_together() -> None:
    def blocks(*contents: bytes) -> bytes:
        packed = [raw_batches.compressed(content, SNAPPY) for content in contents]
        return XERIAL + b"".join(len(block).to_bytes(4, "big") + block for block in packed)

    content = encoded(GOOD, 0)
    assert read(batch_of(blocks(content[:9], content[9:]), attributes=SNAPPY))[0].value == b"value"
    half = bytes(MAX_BATCH_BYTES // 2 + 1)
    for damaged in (blocks(half, half), blocks(content)[:-1], XERIAL + b"\0"):
        raw = memoryview(batch_of(damaged, attributes=SNAPPY))
        with pytest.raises(BatchRefusedError):
            decompressed(raw, header_of(raw))


@pytest.mark.parametrize("codec", [*COMPRESSED, 5, 6, 7])
def test_rubbish_in_place_of_compressed_bytes_is_refused(codec: int) -> None:
    raw = memoryview(batch_of(b"rubbish" * 9, attributes=codec))
    with pytest.raises(BatchRefusedError):
        decompressed(raw, header_of(raw))


@pytest.mark.parametrize("codec", COMPRESSED)
@given(data=st.data())
def test_damaged_compression_is_refused_or_read(codec: int, data: st.DataObject) -> None:
    raw = bytearray(batch(*[GOOD] * 20, codec=codec))
    at = data.draw(st.integers(HEADER_BYTES, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    cut = memoryview(raw)[: data.draw(st.integers(at, len(raw)))]
    try:
        plain = decompressed(cut, header_of(cut))
    except BatchRefusedError:
        return
    assert len(plain) <= HEADER_BYTES + MAX_BATCH_BYTES
    list(parse_records(plain, header_of(cut)))


@given(st.binary(max_size=200), st.integers(1, 10))
def test_whatever_the_bytes_are_each_record_has_an_offset_of_the_batch(content: bytes, count: int) -> None:
    found = read(batch_of(content, count=count, base_offset=50))
    offsets = [record.offset for record in found]
    assert offsets == sorted(offsets)
    assert all(50 <= offset <= 50 + count - 1 for offset in offsets)
    assert found[-1].offset == 50 + count - 1, "nothing of the batch is passed over in silence"


def test_a_response_is_cut_into_batches() -> None:
    first, second = batch(GOOD), batch(GOOD, GOOD)
    fetched = FetchedBatches(first + second + first[:-1])
    assert [bytes(fetched.next_batch()), bytes(fetched.next_batch())] == [first, second]
    assert not fetched.has_next(), "the third is incomplete"
    assert not FetchedBatches(first[:20]).has_next()
    assert not FetchedBatches(b"").has_next()


def test_a_length_that_cannot_be_takes_the_rest_of_the_response() -> None:
    damaged = bytearray(batch(GOOD))
    damaged[8:12] = struct.pack(">i", -5)
    fetched = FetchedBatches(bytes(damaged))
    assert bytes(fetched.next_batch()) == damaged
    assert not fetched.has_next()
