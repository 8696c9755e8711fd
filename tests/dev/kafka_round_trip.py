"""Minimal operations of a client, for tests that check whether a broker works."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def make_topic(bootstrap: str, topic: str) -> None:
    """Create a topic with one partition in a single attempt."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        response = await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    errors = [(name, message) for name, code, message in response.topic_errors if code != 0]
    assert not errors


async def write(bootstrap: str, topic: str, value: bytes) -> None:
    """Write one record, and wait until the broker has acknowledged it."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def read_all(bootstrap: str, topic: str) -> list[bytes]:
    """Return the current values of the topic's partition."""
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while await consumer.position(partition) < end:
            values.append((await consumer.getone()).value)
    return values
