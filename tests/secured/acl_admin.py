"""Adding and removing ACLs: aiokafka knows the requests, though its admin client has no methods for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.topics.acls import Acl

# The numbers of Kafka's protocol.
RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {"Read": 3, "Write": 4, "DescribeConfigs": 10}
ALLOW = 3
ANY_HOST = "*"


def _fields(acl: Acl) -> tuple[Any, ...]:
    resource, pattern, operation = RESOURCES[acl.resource], PATTERNS[acl.pattern], OPERATIONS[acl.operation]
    return resource, acl.name, pattern, f"User:{acl.principal}", ANY_HOST, operation, ALLOW


async def _ask(connection: Mapping[str, Any], requests: Iterable[Any]) -> list[Any]:
    admin = AIOKafkaAdminClient(**connection)
    await admin.start()
    try:
        return [await admin._send_to_controller(request) for request in requests]  # noqa: SLF001 - it has no other
    finally:
        await admin.close()


async def add(connection: Mapping[str, Any], acls: Iterable[Acl]) -> None:
    """Allow something. `connection` is the administrator's."""
    responses = await _ask(connection, [CreateAclsRequest(*_fields(acl)) for acl in acls])
    assert {code for response in responses for code, _ in response.creation_responses} == {0}


async def remove(connection: Mapping[str, Any], acl: Acl) -> None:
    """No longer allow something that was allowed."""
    (response,) = await _ask(connection, [DeleteAclsRequest(*_fields(acl))])
    assert [(code, len(matching)) for code, _, matching in response.filter_responses] == [(0, 1)]
