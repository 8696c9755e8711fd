"""Cached sets, and concurrent requests for them."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from shieldx.errors import RestoreTask
from shieldx.evaluators.encoded_set import EncodedSet
from shieldx.evaluators.errors import AnswerWithError
from shieldx.evaluators.metrics import EvaluatorMetrics
from shieldx.evaluators.sample_reader import Place
from shieldx.evaluators.set_cache import SetCache


class Topic:
    """Its content by set name; an exception is raised once."""

    def __init__(self, **sets: EncodedSet | Exception) -> None:
        self.sets = sets
        self.reads: list[str] = []
        self.readable = asyncio.Event()
        self.readable.set()

    async def read(self, place: Place) -> EncodedSet:
        self.reads.append(place.sample_set)
        await self.readable.wait()
        found = self.sets[place.sample_set]
        if isinstance(found, Exception):
            raise found
        return found


def place(sample_set: str) -> Place:
    return Place(0, "acme", sample_set, "0" * 16, 0, 9)


def set_of(sample: bytes) -> EncodedSet:
    return EncodedSet([sample], strata="0" * 16)


def cache_of(topic: Topic, *, max_bytes: int = 10_000) -> SetCache:
    return SetCache(topic.read, EvaluatorMetrics(CollectorRegistry()), max_bytes=max_bytes)


async def test_requests_for_the_same_set_wait_for_one_load() -> None:
    topic = Topic(a=set_of(b"1"))
    topic.readable.clear()
    async with cache_of(topic) as cache:
        waiting = [asyncio.create_task(cache.get(place("a"))) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        topic.readable.set()
        assert [(await each).samples for each in waiting[1:]] == [[b"1"], [b"1"]]
        await cache.get(place("a"))
    assert topic.reads == ["a"]


async def test_the_sets_used_last_are_kept() -> None:
    topic = Topic(**{name: set_of(bytes(1000)) for name in "abc"})
    async with cache_of(topic, max_bytes=2500) as cache:
        for name in "abacabcb":
            await cache.get(place(name))
    assert "".join(topic.reads) == "abcbc"


async def test_a_set_larger_than_the_cache_is_kept_until_the_next() -> None:
    topic = Topic(a=set_of(bytes(1000)), b=set_of(b"1"))
    async with cache_of(topic, max_bytes=500) as cache:
        for name in "aabb":
            await cache.get(place(name))
    assert "".join(topic.reads) == "ab"


async def test_a_set_that_cannot_be_used_is_not_read_again() -> None:
    topic = Topic(a=AnswerWithError("sample 3 is missing"))
    async with cache_of(topic) as cache:
        for _ in range(3):
            with pytest.raises(AnswerWithError, match="sample 3 is missing"):
                await cache.get(place("a"))
    assert topic.reads == ["a"]


async def test_a_set_that_cannot_be_read_now_is_read_again() -> None:
    topic = Topic(a=RestoreTask("no broker responds"))
    async with cache_of(topic) as cache:
        with pytest.raises(RestoreTask):
            await cache.get(place("a"))
        topic.sets["a"] = set_of(b"1")
        assert (await cache.get(place("a"))).samples == [b"1"]
