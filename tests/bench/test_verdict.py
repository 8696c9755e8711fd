from __future__ import annotations

import msgspec
import pytest

from bench.verdict import Expected, WrongResults, check_results
from bench.workload import PLENTY, TENANTS, Workload

EXPECTED = Expected(results=3, balances=12)


def result(tenant_id: str, key: str, available: int, code: str = "ok") -> bytes:
    return msgspec.json.encode(
        {"tenant_id": tenant_id, "idempotency_key": key, "code": code, "balance": {"available": available}}
    )


RIGHT = [result("a", "k1", 10), result("b", "k1", 5), result("a", "k2", 7)]


def test_one_result_for_each_command_and_balances_that_add_up_are_right() -> None:
    check_results(RIGHT, EXPECTED)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([*RIGHT, RIGHT[2]], "results 4 instead of 3"),
        (RIGHT[:2], "results 2 instead of 3"),
        ([*RIGHT[:2], result("a", "k1", 7)], "different keys 2 instead of 3"),
        ([*RIGHT[:2], result("a", "k2", 8)], "sum of balances 13 instead of 12"),
        ([*RIGHT[:2], result("a", "k2", -1)], "a k2"),
        ([*RIGHT[:2], result("a", "k2", 7, "insufficient_funds")], "insufficient_funds"),
    ],
)
def test_faults_are_reported(values: list[bytes], says: str) -> None:
    with pytest.raises(WrongResults, match=says):
        check_results(values, EXPECTED)


def test_a_workload_knows_what_its_commands_lead_to() -> None:
    workload = Workload(4)
    purchased = len(workload.purchases())
    spent = sum(msgspec.json.decode(command.value)["amount"] for command in workload.consumes(2500))
    assert workload.expected() == Expected(purchased + 2500, TENANTS * PLENTY - spent)
