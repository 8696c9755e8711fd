"""Sample sets, and how they are written to `shadow.samples`."""

from __future__ import annotations

import asyncio
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from shieldx.domains.shadow.messages import StoredSample
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import arranged, strata_digest, strata_of, version_of
from shieldx.domains.shadow.tables import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Written(NamedTuple):
    """The location of the samples of a set's version."""

    tenant_id: str
    sample_set: str
    version: str
    first_offset: int
    last_offset: int
    strata: str
    """A digest of the strata."""


def sample(number: int, uri: str = "/?q=hello", body: bytes = b"") -> Sample:
    """A sample that is an attack if there is a quote in its target."""
    return Sample(
        label="attack" if "'" in uri else "benign",
        category="sqli" if "'" in uri else "plain",
        source=f"requests.yaml#{number}",
        request=Request(method="POST", uri=uri, headers=(("Host", "localhost"),), body=body),
    )


def mixed(count: int) -> list[Sample]:
    """Samples in the order of a set; every third one is an attack."""
    return arranged(sample(number, f"/?q=' OR {number}" if number % 3 == 0 else "/?q=hello") for number in range(count))


def stored(
    tenant_id: str, samples: Sequence[Sample], *, sample_set: str = "default", version: str | None = None
) -> list[StoredSample]:
    """The records of a version of a set."""
    named = version_of(samples) if version is None else version
    return [
        StoredSample(tenant_id=tenant_id, sample_set=sample_set, version=named, index=index, sample=each)
        for index, each in enumerate(samples)
    ]


def in_turn(*records: Sequence[StoredSample]) -> list[StoredSample]:
    """The records of several sets, interleaved."""
    return [record for record in chain.from_iterable(zip_longest(*records)) if record is not None]


async def write_set(
    connection: Mapping[str, Any], tenant_id: str, samples: Sequence[Sample], *, partition: int = 0
) -> Written:
    """Write a version of the set `default`."""
    (written,) = await write_records(connection, stored(tenant_id, samples), partition=partition)
    return written


async def write_records(
    connection: Mapping[str, Any], records: Iterable[StoredSample], *, partition: int = 0
) -> list[Written]:
    """Write records in order, and return the location of each version's samples."""
    async with AIOKafkaProducer(**connection) as producer:
        return await append_records(producer, records, partition=partition)


async def append_records(
    producer: AIOKafkaProducer, records: Iterable[StoredSample], *, partition: int = 0
) -> list[Written]:
    """Write records with an existing producer, perhaps in its transaction."""
    records = list(records)
    sent = [
        await producer.send(
            SAMPLES,
            msgspec.json.encode(record),
            key=f"{record.tenant_id}/{record.sample_set}/{record.version}/{record.index}".encode(),
            partition=partition,
        )
        for record in records
    ]
    offsets = [metadata.offset for metadata in await asyncio.gather(*sent)]
    places: dict[tuple[str, str, str], list[tuple[int, Sample]]] = {}
    for record, offset in zip(records, offsets, strict=True):
        places.setdefault((record.tenant_id, record.sample_set, record.version), []).append((offset, record.sample))
    return [
        Written(*names, placed[0][0], placed[-1][0], strata_digest(strata_of(sample for _, sample in placed)))
        for names, placed in places.items()
    ]
