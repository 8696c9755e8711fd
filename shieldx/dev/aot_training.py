"""The training run that records which classes and methods a Kafka broker uses."""

import asyncio
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError

from shieldx.dev.broker_folder import BrokerFolder
from shieldx.dev.broker_process import BrokerProcess
from shieldx.dev.cluster_plan import new_plan
from shieldx.dev.kafka_program import KafkaProgram
from shieldx.dev.server_properties import BrokerNode
from shieldx.dev.stack_error import StackError
from shieldx.engine.kafka.assignor import CopartitionAssignor
from shieldx.engine.kafka.clients import new_admin, new_group_consumer, new_producer, started

_START_TIMEOUT_S = 60.0
_WORK_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 60.0

_TOPIC = "training"
_GROUP = "training"
_TRANSACTIONS = 20
_RECORDS_A_TRANSACTION = 50


class TrainingFailed(StackError):
    """The AOT cache could not be created; Kafka works without one.

    Read the message. Startup is slower until the cache can be created.
    """


async def record_training_run(program: KafkaProgram, folder: BrokerFolder, configuration: Path) -> None:
    """Run a broker in the new `folder` and have Java write what it learned to `configuration`.

    The caller checks whether Java wrote the file. Raises TrainingFailed, BrokerDidNotStart or ChooseAnotherPort.
    """
    flags = ("-XX:AOTMode=record", f"-XX:AOTConfiguration={configuration}")
    node = BrokerNode(new_plan(1), number=1)
    broker = BrokerProcess(folder, program, node, {})
    await broker.start(timeout_s=_START_TIMEOUT_S, flags=flags)
    try:
        async with asyncio.timeout(_WORK_TIMEOUT_S):
            await _work(node.address)
        await broker.stop(timeout_s=_STOP_TIMEOUT_S)  # Java writes the file on exit
    except (KafkaError, OSError) as error:
        raise TrainingFailed(f"the workload on the training broker failed: {error!r}") from error
    finally:
        broker.kill()


async def _work(bootstrap: str) -> None:
    """Do once what an agent does all day: read, write and commit in transactions."""
    connection = {"bootstrap_servers": bootstrap}
    async with started(new_admin(connection)) as admin:
        await admin.create_topics([NewTopic(_TOPIC, num_partitions=2, replication_factor=1)])
    async with started(new_producer(connection, transactional_id=_TOPIC)) as producer:
        for _ in range(_TRANSACTIONS):
            async with producer.transaction():
                for number in range(_RECORDS_A_TRANSACTION):
                    await producer.send(_TOPIC, key=b"%d" % number, value=b"x" * 100)
                # Otherwise Kafka may still be busy with the offsets and reject the next transaction's records.
                await producer.flush()
                await producer.send_offsets_to_transaction({TopicPartition(_TOPIC, 0): 0}, _GROUP)
    member = new_group_consumer(connection, CopartitionAssignor(), group_id=_GROUP, auto_offset_reset="earliest")
    member.subscribe([_TOPIC])
    async with started(member) as consumer:
        for _ in range(_RECORDS_A_TRANSACTION):
            await consumer.getone()
        await consumer.commit()
