"""The real command as processes, on a stack that it started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer

from shieldx.engine.tasks.partitioner import home_partition
from tests.cli.cli_stack import PARTITIONS, TIMEOUT_S, CliStack
from tests.databases import MIGRATIONS, query
from tests.engine.kafka.raw_batches import RawRecord, batch, produce

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def command(kind: str, tenant: str, key: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "tenant_id": tenant, "idempotency_key": key, **fields}) + "\n"


def is_open(letter: dict[str, Any], reason: str) -> bool:
    return letter["reason"] == reason and not letter["replayed"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_bad_lines_are_named_and_good_ones_answered_in_their_order(place: CliStack, tmp_path: Path) -> None:
    file = tmp_path / "commands.ndjson"
    file.write_text(
        command("purchase", "s", "k1", amount=10)
        + command("consume", "s", "k2", amount="7")
        + "\n"
        + command("consume", "s", "k3", amount=11)
        + "{\n"
        + command("consume", "s", "k4", amount=7)
    )
    done = place.call("send", str(file))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["idempotency_key"], answer["code"]) for answer in answers] == [
        ("k1", "ok"),
        ("k3", "insufficient_funds"),
        ("k4", "ok"),
    ]
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "line 2: Expected `int`, got `str` - at `$.amount`; this line is not sent, but all good ones are",
        "line 5: Input data was truncated",
        "3 results: 2 ok, 1 insufficient_funds; not sent: lines 2 and 5",
    ]
    assert place.read("results", "--tenant", "s") == answers


def test_refusals_are_results_and_stdin_is_a_file(place: CliStack) -> None:
    done = place.call("send", "-", given=command("consume", "nobody", "k1", amount=1))
    assert (done.returncode, json.loads(done.stdout)["code"]) == (0, "tenant_unknown")


def test_a_result_is_printed_while_the_input_is_open(place: CliStack) -> None:
    process = place.start("send", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(2):
        process.stdin.write(command("purchase", "o", f"k{number}", amount=1))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["idempotency_key"] == f"k{number}"
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT_S) == 130
    process.communicate()


def test_results_of_unawaited_commands_can_be_followed(place: CliStack) -> None:
    done = place.call("send", "--no-wait", "-", given=command("purchase", "f", "k1", amount=1))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "sent 1 command\n")
    follower = place.start("results", "--follow", "--from", "beginning", "--tenant", "f")
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["idempotency_key"] == "k1"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(TIMEOUT_S) == 130
    assert follower.communicate()[1] == ""


def test_a_command_that_nobody_answers_is_an_error(place: CliStack) -> None:
    done = place.call("send", "--timeout-s", "0.001", "-", given=command("purchase", "late", "k1", amount=1))
    assert done.returncode == 1
    assert "line 1: no result for idempotency key 'k1' within 0.001 s" in done.stderr


def test_topics_are_as_declared(place: CliStack) -> None:
    assert place.read("topics", "diff", "--json") == []
    assert place.read("topics", "create", "--json") == []
    assert {topic["partitions"] for topic in place.read("topics", "list", "--json")} == {PARTITIONS}


def test_another_partition_count_is_a_difference_and_stops_a_worker(place: CliStack) -> None:
    elsewhere = CliStack(place.folder)
    elsewhere.environment |= {"SHIELDX_KAFKA_BOOTSTRAP": place.stack["bootstrap"], "SHIELDX_PARTITIONS": "9"}
    done = elsewhere.call("topics", "diff", "--json")
    assert done.returncode == 1
    assert "set SHIELDX_PARTITIONS=2 if" in json.loads(done.stdout.splitlines()[0])["remedy"]
    created = elsewhere.call("topics", "create")
    assert created.returncode == 2
    assert "set SHIELDX_PARTITIONS=2" in created.stderr
    worker = elsewhere.call("worker", "credits")
    assert worker.returncode == 2
    assert "was written with 2 partitions, and SHIELDX_PARTITIONS is 9" in worker.stderr


def test_status_finds_everything_in_order(place: CliStack) -> None:
    place.call("send", "-", given=command("purchase", "status", "k1", amount=1))
    status = place.status_without_lag()
    assert status["ok"]
    assert (status["bootstrap"], status["workers"], status["differences"]) == (place.stack["bootstrap"], "ready", [])
    agents = {each["agent"]: each for each in status["agents"]}
    assert set(agents) == {page.stem.replace("_", "-") for page in (MIGRATIONS.parent / "agents").glob("*.py")}
    agent, sink = agents["credits"], agents["credits-statements"]
    assert (sink["agent"], sink["members"], sink["lag"]) == ("credits-statements", 1, 0)
    assert (status["postgres"]["reachable"], status["postgres"]["error"]) == (True, None)
    assert (agent["agent"], agent["members"], agent["lag"], len(agent["partitions"])) == ("credits", 1, 0, PARTITIONS)
    assert "agent    credits: group shieldx.credits stable, 1 member, lag 0" in place.call("status").stdout


def test_status_says_why_a_sink_waits(place: CliStack) -> None:
    dsn = place.stack["postgres"]
    theirs = "ALTER TABLE credits.transactions {} CONSTRAINT theirs"
    place.status_without_lag()
    asyncio.run(query(dsn, f"{theirs.format('ADD')} CHECK (tenant_id <> 'waits') NOT VALID"))
    try:
        place.call("send", "-", given=command("purchase", "waits", "k1", amount=1))
        deadline_s = monotonic() + TIMEOUT_S
        while not (waits := json.loads(place.call("status", "--json").stdout)["waiting_for"]):
            assert monotonic() < deadline_s
        shown = place.call("status")
    finally:
        asyncio.run(query(dsn, theirs.format("DROP")))
    assert waits.startswith("credits-statements (Postgres at 127.0.0.1:")
    assert "the constraint theirs of credits.transactions refuses a row" in waits
    assert shown.returncode == 1
    assert f"{place.stack['health']} not ready: {waits}\n" in shown.stdout
    place.until_applied("waits")


def test_status_finds_what_a_sink_has_set_aside(place: CliStack) -> None:
    place.status_without_lag()
    dsn = place.stack["postgres"]
    asyncio.run(query(dsn, "INSERT INTO shieldx.unreadable VALUES ('audit-mirror', 'audit.log', 0, 0, 1, '', 'why')"))
    try:
        shown, given = place.call("status"), place.call("status", "--json")
    finally:
        asyncio.run(query(dsn, "DELETE FROM shieldx.unreadable"))
    assert (shown.returncode, given.returncode) == (1, 1)
    assert "audit-mirror stable, 1 member, lag 0, 1 record set aside in shieldx.unreadable\n" in shown.stdout
    assert {agent["agent"]: agent["set_aside"] for agent in json.loads(given.stdout)["agents"]}["audit-mirror"] == 1


def test_a_worker_joins_and_leaves(place: CliStack) -> None:
    worker = place.start("worker", "credits")
    assert worker.stderr is not None
    lines = (json.loads(line) for line in worker.stderr)
    assert next(line for line in lines if line["message"] == "ready")["agents"] == ["credits"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(TIMEOUT_S) == 0
    worker.communicate()


def test_a_dead_letter_is_listed_shown_and_replayed_once(place: CliStack) -> None:
    tenant = "d"
    wrong_key = command("purchase", tenant, "d1", amount=5).encode()
    place.append(wrong_key, b"other", [("correlation-id", b"c1"), ("shieldx-hop", b"1")], tenant)
    place.call("send", "-", given=command("purchase", tenant, "after", amount=1))  # answered after what came before
    (letter,) = [letter for letter in place.read("dead-letters", "list") if letter["reason"] == "key_differs"]
    assert not letter["replayed"]

    (shown,) = place.read("dead-letters", "show", letter["place"])
    assert shown["headers"] == {"correlation-id": "c1", "shieldx-hop": "1"}
    assert (shown["key"], shown["size_bytes"]) == ("other", len(wrong_key))
    assert shown["payload"] == wrong_key.decode()
    (shown,) = place.read("dead-letters", "show", letter["place"], "--unmasked")
    assert shown["unmasked"] == wrong_key.decode()

    (replayed,) = place.read("dead-letters", "replay", letter["place"])
    assert replayed["place"] == letter["place"]
    assert place.read("dead-letters", "replay", letter["place"]) == []
    assert letter["place"] in {found["place"] for found in place.read("dead-letters", "list") if found["replayed"]}
    place.call("send", "-", given=command("purchase", tenant, "after that", amount=1))
    results = {result["idempotency_key"]: result for result in place.read("results", "--tenant", tenant)}
    assert results["d1"]["code"] == "ok"


def test_all_that_can_be_replayed_is(place: CliStack) -> None:
    tenant = "a"
    refused = command("purchase", tenant, "a1", amount=5).encode()
    place.append(refused, tenant.encode(), [("reply-to", b"nowhere")], tenant)
    place.append(b"{}", tenant.encode(), [], tenant)
    place.call("send", "-", given=command("purchase", tenant, "after", amount=1))
    before = [letter for letter in place.read("dead-letters", "list") if not letter["replayed"]]
    executed = [letter["place"] for letter in before if letter["reason"] == "reply_to_refused"]
    replayed = {moved["place"] for moved in place.read("dead-letters", "replay", "--all")}
    assert len(executed) == 1
    assert replayed == {letter["place"] for letter in before} - set(executed)
    done = place.call("dead-letters", "replay", *executed)
    assert f"skipped {executed[0]}: it was executed" in done.stderr


def test_what_a_client_library_cannot_decode_holds_up_no_agent(place: CliStack) -> None:
    tenant = "u"
    home, bootstrap = home_partition(tenant, PARTITIONS), place.stack["bootstrap"]
    raw = batch(RawRecord(b"v", tenant.encode(), [(b"tra\xffce", b"1")]))
    topics = ("audit.appends", "credits.commands", "shadow.evaluations")
    places = []
    for topic in topics:
        ((error, offset),) = asyncio.run(produce(bootstrap, topic, home, raw))
        assert error == 0
        places.append(f"{topic}/{home}/{offset}")
    done = place.call("send", "-", given=command("purchase", tenant, "after", amount=1))
    assert json.loads(done.stdout)["code"] == "ok"
    place.status_without_lag()
    letters = {letter["place"]: letter for letter in place.read("dead-letters", "list")}
    assert {letters[it]["reason"] for it in places} == {"undecodable"}
    (shown,) = place.read("dead-letters", "show", places[1], "--unmasked")
    assert shown["source"] == "cannot be decoded: the name of a header is not UTF-8"
    done = place.call("dead-letters", "replay", *places)
    assert done.stderr.count("it cannot be decoded; ask its producer to send the content again") == len(topics)


def test_records_deleted_by_retention_are_reported_and_the_others_replayed(place: CliStack) -> None:
    tenant = "g"
    home = home_partition(tenant, PARTITIONS)
    for number in range(2):
        place.append(command("purchase", tenant, f"g{number}", amount=5).encode(), b"other", [], tenant)
    place.call("send", "-", given=command("purchase", tenant, "after", amount=1))
    gone, kept = (letter["place"] for letter in place.read("dead-letters", "list") if is_open(letter, "key_differs"))
    place.delete_records_before(home, int(kept.rpartition("/")[2]))

    done = place.call("dead-letters", "replay", gone, kept)
    assert done.returncode == 1
    assert f"{gone} is gone" in done.stderr
    assert [json.loads(line)["place"] for line in done.stdout.splitlines()] == [kept]
    (shown,) = place.read("dead-letters", "show", gone)
    assert shown["source"].startswith(f"{gone} is gone")


def test_a_letter_that_does_not_exist_is_named(place: CliStack) -> None:
    done = place.call("dead-letters", "show", "credits.commands/0/999")
    assert done.returncode == 1
    assert "credits.commands/0/999 has no dead letter" in done.stderr


def test_a_running_stack_is_neither_reset_nor_started_twice(place: CliStack) -> None:
    pid = place.stack["pid"]
    assert f"process {pid} is running the stack" in place.call("reset", "--yes").stderr
    done = place.call("up")
    assert done.returncode == 1
    assert f"in use by process {pid}" in done.stderr
    assert place.stack["pid"] == pid


def test_a_stack_leaves_nothing_running_keeps_its_partitions_and_is_reset(tmp_path: Path) -> None:
    place = CliStack(tmp_path / "stack")
    process = place.up("--partitions", "1", "--agent", "credits")
    broker_pid = int((place.folder / "kafka" / "pid").read_text())
    assert place.stack["pid"] == process.pid
    assert is_alive(broker_pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == 0
    process.communicate()
    assert not is_alive(broker_pid)
    assert not (place.folder / "stack.json").exists()

    done = place.call("up", "--partitions", "3")
    assert done.returncode == 2
    assert "the stack has 1 partition, not 3" in done.stderr
    assert not (place.folder / "stack.json").exists()
    with place.running("--partitions", "3", "--grow", "--agent", "credits"):
        assert place.stack["partitions"] == 3

    assert place.call("reset", "--yes").returncode == 0
    process = place.up("--partitions", "3")
    assert place.stack["partitions"] == 3
    assert place.call("down").returncode == 0
    assert not (place.folder / "stack.json").exists()
    assert process.wait(TIMEOUT_S) == 0
    process.communicate()


def test_a_statement_has_every_movement_and_its_lag(place: CliStack) -> None:
    lines = [
        command("purchase", "st", "k1", amount=1000, description="a card \x1b[31m, " + "and a long text" * 9),
        command("consume", "st", "k2", amount=300),
        command("consume", "st", "k3", amount=5000),
        command("consume", "st", "k4", amount=1),
    ]
    answers = [json.loads(line) for line in place.call("send", "-", given="".join(lines)).stdout.splitlines()]
    offsets = [int(answer["transaction_id"].split("-")[1]) for answer in answers]
    place.until_applied("st")

    opening, *movements, closing = place.read("statement", "st", "--json")
    assert (opening["opening"], closing["closing"]) == (0, 699)
    assert [(m["type"], m["amount"], m["balance"]) for m in movements] == [
        ("purchase", 1000, 1000),
        ("consume", -300, 700),
        ("consume", -1, 699),
    ]
    assert [m["at"] for m in movements] == [answers[n]["at"] for n in (0, 1, 3)]
    assert closing["behind"]["records"] == 0
    assert closing["behind"]["applied_at"] >= answers[3]["at"]

    shown = place.call("statement", "st").stdout.splitlines()
    assert shown[0] == "Account statement of st"
    assert [line.split()[-1] for line in shown[3:8]] == ["0", "1,000", "700", "699", "699"]
    assert "\x1b" not in "".join(shown)
    assert max(map(len, shown)) < 120, "a long description is cut"
    assert shown[-1].startswith("This is 0 records behind the ledger; last applied 20")

    opening, movement, closing = place.read(
        "statement", "st", "--from", str(offsets[1]), "--to", str(offsets[2]), "--json"
    )
    assert (opening["opening"], movement["amount"], closing["closing"]) == (1000, -300, 700)
    opening, closing = place.read("statement", "st", "--from", "2999-01-01", "--json")
    assert (opening["opening"], closing["closing"]) == (699, 699)
    cut = place.call("statement", "st", "--limit", "1", "--json")
    assert [json.loads(line).get("amount") for line in cut.stdout.splitlines()] == [None, -1, None]
    assert cut.stderr == "the last 1 movement of the period; --limit shows more\n"


def test_a_balance_is_that_of_now_or_of_then(place: CliStack) -> None:
    lines = [
        command("purchase", "ba", "k1", amount=100),
        command("reserve", "ba", "k2", amount=30, reservation_id="r", ttl_s=3600),
        command("consume", "ba", "k3", amount=50),
    ]
    answers = [json.loads(line) for line in place.call("send", "-", given="".join(lines)).stdout.splitlines()]
    place.until_applied("ba")
    (now,) = place.read("balance", "ba", "--json")
    assert (now["balance"], now["reserved_funds"], now["available"], now["behind"]["records"]) == (50, 30, 20, 0)
    (then,) = place.read("balance", "ba", "--at", answers[1]["transaction_id"].split("-")[1], "--json")
    assert (then["balance"], then["transaction_id"]) == (100, answers[0]["transaction_id"])
    (before,) = place.read("balance", "ba", "--at", "2001-01-01T00:00:00Z", "--json")
    assert (before["balance"], before["at"]) == (0, None)
    assert "available        20" in place.call("balance", "ba").stdout


def test_a_tenant_that_postgres_does_not_know_is_an_error(place: CliStack) -> None:
    for name in ("balance", "statement"):
        done = place.call(name, "nobody-at-all")
        assert done.returncode == 1
        assert "unknown tenant 'nobody-at-all' (0 records behind the ledger" in done.stderr


def test_the_schema_is_listed_and_not_taken_back_unasked(place: CliStack) -> None:
    assert {row["state"] for row in place.read("migrate", "status", "--json")} == {"applied"}
    assert place.read("migrate", "up", "--json") == []
    done = place.call("migrate", "down")
    assert done.returncode == 2
    assert "use --yes" in done.stderr


def test_a_sink_does_not_start_on_another_schema(place: CliStack) -> None:
    elsewhere = CliStack(place.folder)
    without_schema = place.stack["postgres"].replace("/shieldx?", "/postgres?")
    elsewhere.environment |= {"SHIELDX_POSTGRES_DSN": without_schema}
    done = elsewhere.call("worker", "credits-statements")
    assert done.returncode == 2
    assert "the schema in Postgres is behind this program" in done.stderr
    assert "Run `shieldx migrate up`" in done.stderr


def test_a_killed_postgres_is_restarted_and_the_agents_continue(place: CliStack) -> None:
    pid = int((place.folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    done = place.call("send", "-", given=command("purchase", "kp", "k1", amount=7))
    assert json.loads(done.stdout)["code"] == "ok"
    place.until_applied("kp")
    assert place.read("balance", "kp", "--json")[0]["balance"] == 7


def test_audit_log_and_reconciliation_find_no_faults(place: CliStack) -> None:
    done = place.call("audit", "verify", "--against-ledger", "--json")
    log, mirror, reconciliation = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr + done.stdout
    assert (log["whole"], mirror["whole"], reconciliation["books"]) == (True, True, "right")
    assert log["entries"] > 0
    assert {check["check"] for check in reconciliation["checks"]} >= {
        "results",
        "audit entries",
        "accounts in Postgres",
    }
    alone = place.call("audit", "verify", "--only", "kafka")
    assert [json.loads(line)["log"] for line in alone.stdout.splitlines()] == ["audit.log in Kafka"]


def test_a_forged_entry_is_found_and_located(place: CliStack, tmp_path: Path) -> None:
    before = place.call("audit", "heads", "-o", str(tmp_path / "heads.ndjson"))
    assert before.returncode == 0, before.stderr
    (entry,) = place.read("audit", "tail", "-n", "1", "--json")
    forged = json.dumps(entry | {"outcome": "forged"}).encode()
    key = f"{entry['shard']}/{entry['sequence']}".encode()

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=place.stack["bootstrap"]) as producer:
            await producer.send_and_wait("audit.log", forged, key=key, partition=entry["shard"])

    asyncio.run(write())
    metrics = tmp_path / "audit.prom"
    options = ("--only", "kafka", "--heads", str(tmp_path / "heads.ndjson"), "--metrics-file", str(metrics))
    done = place.call("audit", "verify", *options, "--json")
    assert done.returncode == 1
    (log,) = [json.loads(line) for line in done.stdout.splitlines()]
    found = {(each["kind"], each["shard"], each["first"]) for each in log["breaks"]}
    assert found == {(kind, entry["shard"], entry["sequence"]) for kind in ("hash", "duplicate")}
    assert 'audit_verification_failures{kind="hash",log="audit.log in Kafka"} 1.0' in metrics.read_text()
    assert "its content does not match its hash" in {each["detail"] for each in log["breaks"]}
