"""Batches answered from samples in a real topic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from shieldx.domains.shadow.messages import Outcomes, SampleBatch, Score
from shieldx.domains.shadow.rule import Keywords, Scored, Signature, Weighted
from shieldx.domains.shadow.sample import MAX_BODY_BYTES
from shieldx.domains.shadow.sample_set import arranged, strata_digest, strata_of, version_of
from shieldx.domains.shadow.tables import BATCHES, SAMPLES, SCORES
from shieldx.engine.declarations.replayable import Resources
from shieldx.errors import RestoreTask
from shieldx.evaluators.evaluators import Evaluators
from shieldx.messages import Output, Source
from tests.evaluators import judging_functions
from tests.evaluators.sample_sets import (
    Written,
    append_records,
    in_turn,
    mixed,
    sample,
    stored,
    write_records,
    write_set,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.rule import RuleConfig
    from shieldx.domains.shadow.sample import Sample

pytestmark = pytest.mark.integration

PARTITION = 2
QUOTE = Signature(pattern="'", match="literal")
SCORED = Scored(signatures=(Weighted(weight=2, rule=QUOTE),), threshold=1)


def resources(connection: dict[str, str]) -> Resources:
    return Resources(connection=connection, registry=CollectorRegistry())


def batch(
    written: Written, samples: Sequence[int], *, rule: RuleConfig = QUOTE, compared: RuleConfig | None = None
) -> SampleBatch:
    return SampleBatch(
        tenant_id=written.tenant_id,
        eval_id="e1",
        token="t1",  # noqa: S106 - no secret
        batch=7,
        rule=rule,
        compared=compared,
        sample_set=written.sample_set,
        sample_set_version=written.version,
        strata=written.strata,
        first_offset=written.first_offset,
        last_offset=written.last_offset,
        samples=tuple(samples),
    )


async def score(evaluators: Evaluators, message: SampleBatch, *, partition: int = PARTITION) -> Score:
    source = Source(BATCHES, partition, 0, 0, msgspec.json.encode(message))
    (output,) = await evaluators.answer(message, source)
    assert isinstance(output, Output)
    assert (output.topic, output.key) == (SCORES, message.tenant_id)
    assert isinstance(output.value, Score)
    return output.value


async def error_of(connection: dict[str, str], message: SampleBatch, *, partition: int = PARTITION) -> str:
    async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
        answer = await score(evaluators, message, partition=partition)
    assert answer.outcomes is None
    assert answer.error is not None
    return answer.error


def expected(samples: Sequence[Sample], indices: Sequence[int]) -> str:
    return "".join("1" if samples[index].label == "attack" else "0" for index in indices)


async def test_a_batch_is_answered(connection: dict[str, str], tenant: str) -> None:
    samples = mixed(20)
    written = await write_set(connection, tenant, samples, partition=PARTITION)
    drawn = [19, 0, 7]
    async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
        answer = await score(evaluators, batch(written, drawn, compared=SCORED))
    assert answer == Score(
        tenant_id=tenant,
        eval_id="e1",
        token="t1",  # noqa: S106 - no secret
        batch=7,
        outcomes=Outcomes(fired=expected(samples, drawn)),
        compared=Outcomes(fired="010", scores=(0.0, 2.0, 0.0)),
        sources=tuple(samples[index].source for index in drawn),
        latencies_ns=answer.latencies_ns,
    )
    assert len(answer.latencies_ns) == 3


async def test_the_same_batch_has_the_same_answer_from_another_worker(connection: dict[str, str], tenant: str) -> None:
    written = await write_set(connection, tenant, mixed(50), partition=PARTITION)
    answers = []
    for _ in range(2):
        async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
            answers += [await score(evaluators, batch(written, range(50), rule=SCORED)) for _ in range(2)]
    assert len({msgspec.json.encode(msgspec.structs.replace(each, latencies_ns=())) for each in answers}) == 1


async def test_batches_of_a_set_at_once_read_it_once(connection: dict[str, str], tenant: str) -> None:
    samples = mixed(300)
    written = await write_set(connection, tenant, samples, partition=PARTITION)
    given = resources(connection)
    cuts = [range(begin, begin + 100) for begin in range(0, 300, 100)]
    async with Evaluators(given, shadow_processes=1) as evaluators:
        answers = await asyncio.gather(*(score(evaluators, batch(written, cut)) for cut in cuts))
    fired = [answer.outcomes.fired for answer in answers if answer.outcomes is not None]
    assert fired == [expected(samples, cut) for cut in cuts]
    assert given.registry.get_sample_value("shadow_set_loads_total") == 1
    assert given.registry.get_sample_value("shadow_samples_judged_total") == 300


async def test_sets_of_several_tenants_may_be_interleaved(connection: dict[str, str], tenant: str) -> None:
    sets = {name: mixed(count) for name, count in ((f"{tenant}-a", 10), (f"{tenant}-b", 30), (f"{tenant}-c", 20))}
    again = stored(f"{tenant}-a", mixed(12), sample_set="other")
    records = in_turn(*(stored(name, samples) for name, samples in sets.items()), again)
    written = await write_records(connection, records, partition=PARTITION)
    async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
        for place in written:
            samples = sets[place.tenant_id] if place.sample_set == "default" else mixed(12)
            indices = range(len(samples))
            answer = await score(evaluators, batch(place, indices))
            assert answer.outcomes == Outcomes(fired=expected(samples, indices))


async def test_samples_of_an_aborted_transaction_are_not_seen(connection: dict[str, str], tenant: str) -> None:
    records = stored(tenant, mixed(10))
    async with AIOKafkaProducer(**connection, transactional_id=f"importer-{tenant}") as producer:
        await producer.begin_transaction()
        first = await append_records(producer, records[:5], partition=PARTITION)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await append_records(producer, records[5:8], partition=PARTITION)
        await producer.abort_transaction()
        await producer.begin_transaction()
        last = await append_records(producer, records[8:], partition=PARTITION)
        await producer.commit_transaction()
    written = first[0]._replace(last_offset=last[0].last_offset)
    error = await error_of(connection, batch(written, [0]))
    assert "sample 5 is missing, 7 are there" in error
    assert "Import the samples again" in error


async def test_the_longest_bodies_are_judged(connection: dict[str, str], tenant: str) -> None:
    heads = [b"needle" if n % 3 else b"straw" for n in range(12)]
    samples = arranged(sample(n, body=head.ljust(MAX_BODY_BYTES, bytes([n]))) for n, head in enumerate(heads))
    written = await write_set(connection, tenant, samples, partition=PARTITION)
    needle = Keywords(keywords=("needle",), targets=("body",), transformations=())
    async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
        answer = await score(evaluators, batch(written, range(12), rule=needle))
    has_needle = (each.request.body.startswith(b"needle") for each in samples)
    assert answer.outcomes == Outcomes(fired="".join("1" if has else "0" for has in has_needle))


async def test_a_set_that_lacks_its_last_samples_is_not_judged(connection: dict[str, str], tenant: str) -> None:
    written = await write_set(connection, tenant, mixed(10), partition=PARTITION)
    error = await error_of(connection, batch(written._replace(last_offset=written.last_offset - 2), [0]))
    assert f"the 8 samples there are version {version_of(mixed(10)[:8])}" in error


async def test_a_set_whose_content_does_not_match_its_version_is_not_judged(
    connection: dict[str, str], tenant: str
) -> None:
    (written,) = await write_records(connection, stored(tenant, mixed(10), version="0" * 16), partition=PARTITION)
    error = await error_of(connection, batch(written, [0]))
    assert f"the 10 samples there are version {version_of(mixed(10))}" in error


async def test_a_sample_that_cannot_be_decoded_is_missing(connection: dict[str, str], tenant: str) -> None:
    records = stored(tenant, mixed(3))
    async with AIOKafkaProducer(**connection) as producer:
        first = await append_records(producer, records[:1], partition=PARTITION)
        broken = msgspec.json.encode(records[1]).replace(b'"label":"', b'"label":"un')
        await producer.send_and_wait(SAMPLES, broken, key=b"broken", partition=PARTITION)
        await producer.send_and_wait(SAMPLES, b"\xff{", key=b"broken", partition=PARTITION)
        await producer.send_and_wait(SAMPLES, None, key=b"deleted", partition=PARTITION)
        last = await append_records(producer, records[2:], partition=PARTITION)
    written = first[0]._replace(last_offset=last[0].last_offset)
    error = await error_of(connection, batch(written, [0]))
    assert "sample 1 is missing, 2 are there, 2 records cannot be decoded" in error


async def test_a_missing_set_is_not_judged(connection: dict[str, str], tenant: str) -> None:
    written = await write_set(connection, tenant, mixed(3), partition=PARTITION)
    assert "it has no sample there" in await error_of(connection, batch(written._replace(sample_set="other"), [0]))
    beyond = written._replace(first_offset=10_000_000, last_offset=10_000_002)
    assert "the topic has no such offsets" in await error_of(connection, batch(beyond, [0]))


async def test_a_set_imported_again_is_judged(connection: dict[str, str], tenant: str) -> None:
    records = stored(tenant, mixed(6))
    (lacking,) = await write_records(connection, records[:3], partition=PARTITION)
    (whole,) = await write_records(connection, records, partition=PARTITION)
    async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
        assert (await score(evaluators, batch(lacking, [0]))).error is not None
        assert (await score(evaluators, batch(whole, [0]))).error is None
        both = whole._replace(first_offset=lacking.first_offset)
        assert (await score(evaluators, batch(both, range(6)))).error is None


async def test_a_set_that_was_sealed_with_strata_of_other_samples_is_not_judged(
    connection: dict[str, str], tenant: str
) -> None:
    written = await write_set(connection, tenant, mixed(6), partition=PARTITION)
    lies = written._replace(strata=strata_digest(strata_of(mixed(7))))
    async with Evaluators(resources(connection), shadow_processes=1) as evaluators:
        error = (await score(evaluators, batch(lies, [0]))).error
        assert (await score(evaluators, batch(written, [0]))).error is None, "once it is sealed with its own strata"
    assert error == (
        f"set default version {written.version} was sealed with strata that do not match its samples: "
        "seal it again with the correct ones"
    )


async def test_an_index_beyond_the_set_is_an_error(connection: dict[str, str], tenant: str) -> None:
    written = await write_set(connection, tenant, mixed(3), partition=PARTITION)
    assert "asks for samples 0 to 3, but set default" in await error_of(connection, batch(written, [0, 3]))


async def test_a_rule_that_cannot_run_is_an_error_that_says_why(connection: dict[str, str], tenant: str) -> None:
    written = await write_set(connection, tenant, mixed(3), partition=PARTITION)
    error = await error_of(connection, batch(written, [0], rule=Signature(pattern="a(b")))
    assert error.startswith("pattern")


async def test_only_the_evaluation_that_killed_processes_is_given_up(connection: dict[str, str], tenant: str) -> None:
    samples = mixed(6)
    attack = next(index for index, each in enumerate(samples) if each.label == "attack")
    harmless = next(index for index, each in enumerate(samples) if each.label == "benign")
    written = await write_set(connection, tenant, samples, partition=PARTITION)
    async with Evaluators(
        resources(connection), shadow_processes=1, judging=judging_functions.die_of_quotes
    ) as evaluators:
        lost = await score(evaluators, batch(written, [attack]))
        assert (await score(evaluators, batch(written, [harmless]))).error == lost.error
        other = msgspec.structs.replace(batch(written, [harmless]), token="t2")  # noqa: S106 - no secret
        assert (await score(evaluators, other)).error is None
    assert lost.error is not None
    assert lost.error.startswith("3 processes in a row died")


async def test_an_unresponsive_broker_is_an_outage_and_not_an_answer(connection: dict[str, str], tenant: str) -> None:
    written = Written(tenant, "default", "0" * 16, 0, 9, "0" * 16)
    gone = {**connection, "bootstrap_servers": "127.0.0.1:1"}
    async with Evaluators(resources(gone), shadow_processes=1) as evaluators:
        with pytest.raises(RestoreTask):
            await score(evaluators, batch(written, [0]))
