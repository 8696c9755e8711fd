"""`shieldx dead-letters`: lists dead-lettered records and replays them."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from shieldx.bootstrap.masking import masker_of
from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_consumer
from shieldx.cli.dead_letter_reasons import reasons_command
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.letters import find_letters, read_letters
from shieldx.cli.record_place import RecordPlaceType
from shieldx.cli.replay import replay, replayable, replaying, why_not_replayed
from shieldx.cli.source_records import AskProducerToSendAgain, read_source
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, print_table, say
from shieldx.engine.tasks.log import UndecodedRecord
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.cli.letters import Letter
    from shieldx.cli.record_place import RecordPlace
    from shieldx.privacy.masker import Masker


@click.group()
def command() -> None:
    """List, show, replay and explain dead letters.

    PLACE is the place of the record: topic/partition/offset.
    """
    silence_aiokafka()


command.add_command(reasons_command)


@command.command("list")
@as_json
def list_letters(*, as_json: bool) -> None:
    """List all retained dead letters, oldest first."""
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        letters = asyncio.run(read_letters(platform))
    if json_wanted(as_json=as_json):
        for letter in letters:
            print_json(_facts(letter))
    else:
        rows = [(f["place"], f["reason"], f["detail"], f["at"], f["replayed"]) for f in map(_facts, letters)]
        print_table(("place", "reason", "detail", "at", "replayed"), rows)


@command.command("show")
@click.argument("place", type=RecordPlaceType())
@click.option(
    "--unmasked", is_flag=True, help="Print key and headers as they are, and also the value: they may be personal data."
)
@as_json
def show_letter(place: RecordPlace, *, unmasked: bool, as_json: bool) -> None:
    """Print a dead letter with key, headers, size and value of its record; personal data is masked."""
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        shown = asyncio.run(_show(platform, place, unmasked=unmasked))
    for facts in shown:
        if json_wanted(as_json=as_json):
            print_json(facts)
        else:
            print_table(("field", "value"), [(name, str(value)) for name, value in facts.items()])


@command.command("replay")
@click.argument("places", metavar="[PLACE]…", type=RecordPlaceType(), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all that have not been replayed.")
@as_json
@click.pass_context
def replay_letters(ctx: click.Context, places: tuple[RecordPlace, ...], *, everything: bool, as_json: bool) -> None:
    """Send dead-lettered records to their topics again.

    Each record is read from its topic, verified by length and SHA-256, and sent with its headers and with the tenant in
    its body as key. The dead letter is then marked and never replayed again, because a command's key is remembered for
    only 24 h. Fix the cause first, or the record is dead-lettered again.
    """
    if bool(places) == everything:
        raise click.UsageError("specify the PLACE of each record, or --all")
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        gone = asyncio.run(_replay(platform, places, as_json=json_wanted(as_json=as_json)))
    if gone:
        ctx.exit(1)


def _facts(letter: Letter) -> dict[str, Any]:
    content = letter.content
    return {
        "place": str(letter.place),
        "reason": content.reason,
        "detail": content.detail,
        "at": content.at,
        "payload": content.payload,
        "cut": content.cut,
        "length": content.length,
        "sha256": content.sha256,
        "replayed": letter.replayed,
    }


async def _show(platform: Platform, place: RecordPlace, *, unmasked: bool) -> list[dict[str, Any]]:
    shown = []
    masker = None if unmasked else masker_of(platform.settings)
    async with committed_consumer(platform) as consumer:
        for letter in await find_letters(platform, [place]):
            facts = _facts(letter)
            try:
                record = await read_source(consumer, letter)
            except AskProducerToSendAgain as error:
                facts["source"] = str(error)
            else:
                if isinstance(record, UndecodedRecord):
                    facts["source"] = f"cannot be decoded: {record.reason}"
                facts["key"] = _shown("key", record.key, masker)
                facts["headers"] = {name: _shown(name, content, masker) for name, content in record.headers}
                facts["size_bytes"] = len(record.value or b"")
                if unmasked:
                    facts["unmasked"] = _shown("value", record.value, None)
            shown.append(facts)
    return shown


async def _replay(platform: Platform, places: Sequence[RecordPlace], *, as_json: bool) -> int:
    """Replay all possible records, and return how many are gone."""
    replayed = gone = 0
    async with replaying(platform) as producer, committed_consumer(platform) as consumer:
        letters = await (find_letters(platform, dict.fromkeys(places)) if places else read_letters(platform))
        chosen = replayable(letters)
        for letter in letters:
            if places and letter not in chosen:
                say(f"skipped {letter.place}: {why_not_replayed(letter)}")
        for letter in chosen:
            try:
                now = await replay(consumer, producer, letter)
            except AskProducerToSendAgain as error:
                gone += 1
                say(str(error))
                continue
            replayed += 1
            _print_move(letter.place, now, as_json=as_json)
    say(f"replayed {counted(replayed, 'record')}")
    return gone


def _print_move(before: RecordPlace, now: RecordPlace, *, as_json: bool) -> None:
    if as_json:
        print_json({"place": str(before), "replayed_to": str(now)})
    else:
        click.echo(f"{before} -> {now}")


def _shown(name: str, content: bytes | None, masker: Masker | None) -> str | None:
    """A part of a record as text; with a masker, masked by its name and its content."""
    text = None if content is None else content.decode(errors="backslashreplace")
    return text if text is None or masker is None else masker.mask_named(name, text)
