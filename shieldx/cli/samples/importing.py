"""`shieldx samples import`: creates a version of a set from files."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from shieldx.bootstrap.masking import masker_of
from shieldx.bootstrap.platform import Platform
from shieldx.cli.asking import open_asking
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option, timeout_option
from shieldx.cli.samples.bounds import ImportOtherSamples, check_samples, check_seal
from shieldx.cli.samples.files import Files, file_options, read_files
from shieldx.cli.samples.sets import sets_of
from shieldx.cli.samples.writing import SetContent, write_samples
from shieldx.cli.shadow.commands import ask_all, author_option, check_commands
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, printable, say
from shieldx.cli.work_progress import work_progress
from shieldx.domains.shadow.messages import CommandCode, SealSamples
from shieldx.domains.shadow.sample_set import arranged, strata_of, version_of
from shieldx.domains.shadow.tables import RESULTS
from shieldx.engine.tasks.codec import Codec
from shieldx.errors import FixConfiguration
from shieldx.importers.masking import CATEGORIES, FILL, masked
from shieldx.messages import DEAD_LETTERS
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import CommandResult
    from shieldx.domains.shadow.sample import Sample
    from shieldx.importers.imported import Skipped
    from shieldx.privacy.masker import Masker


@click.command(epilog="shieldx samples import --tenant org-123 --go-ftw crs/tests --gotestwaf gotestwaf/testcases")
@tenant_option
@click.option("--set", "sample_set", metavar="NAME", default="default", show_default=True, help="The set's name.")
@file_options
@author_option
@click.option(
    "--skipped",
    "skipped_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write skipped inputs to this file, one JSON object per line.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be imported; does not need Kafka.")
@click.option("--unmasked", is_flag=True, help="Keep personal data and secrets in the requests.")
@click.option("--again", is_flag=True, help="Write the samples even if this version exists.")
@timeout_option
@as_json
def command(  # noqa: PLR0913 - click's options
    tenant_id: str,
    sample_set: str,
    author: str | None,
    skipped_file: Path | None,
    timeout_s: float,
    *,
    dry_run: bool,
    again: bool,
    unmasked: bool,
    as_json: bool,
    **files: Any,
) -> None:
    """Create a version of a set from all the files together, and print it.

    Personal data and secrets in the requests are masked, such as cards' numbers, mail addresses and tokens; what rules
    judge by stays.

    The version is a hash of the content: the same samples always get the same version. Evaluations draw from a version
    once it is sealed. An import that is interrupted has sealed nothing; run it again.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    mask = None if unmasked else masker_of(settings, CATEGORIES, fill=FILL)
    samples = _samples(Files(**files), skipped_file, mask)
    content = SetContent(tenant_id, sample_set, version_of(samples), samples)
    seal = _seal(content, (0, len(samples) - 1), author)  # their offsets are not known yet
    check_seal(seal)
    if dry_run:
        say("nothing was written")
        code, sealed_at = None, None
    else:
        platform = Platform(settings)
        check_commands(platform, [seal])
        with named_kafka_errors(platform.connection):
            code, sealed_at = asyncio.run(_import(platform, content, author, timeout_s, again=again))
    _tell(content, code, as_json=as_json)
    if code is CommandCode.UNCHANGED:
        say(f"the set already has this version, sealed at {sealed_at}; use --again to rewrite its samples")


def _samples(files: Files, skipped_file: Path | None, masker: Masker | None) -> list[Sample]:
    """The arranged samples, masked by a masker.

    Raises:
        ImportOtherSamples: There are none, too many, or too large ones.
    """
    found = read_files(files)
    for line in found.in_words():
        say(line)
    if skipped_file is not None:
        _write(skipped_file, found.skipped)
    samples = found.samples if masker is None else [masked(sample, masker) for sample in found.samples]
    if changed := sum(one is not other for one, other in zip(samples, found.samples, strict=True)):
        say(f"masked personal data or secrets in {counted(changed, 'request')}; --unmasked keeps them")
    check_samples(samples)
    return arranged(samples)


def _write(file: Path, skipped: Sequence[Skipped]) -> None:
    try:
        file.write_bytes(msgspec.json.Encoder().encode_lines(skipped))
    except OSError as error:
        raise FixConfiguration(f"cannot write {file}: {error.strerror}") from error


async def _import(
    platform: Platform, content: SetContent, author: str | None, timeout_s: float, *, again: bool
) -> tuple[CommandCode, str]:
    """The result, and when the version was sealed."""
    versions = [row for row in await sets_of(platform, content.tenant_id) if row.sample_set == content.sample_set]
    known = next((row for row in versions if row.version == content.version), None)
    if known is not None and not again:
        if known is versions[-1]:
            return CommandCode.UNCHANGED, known.at
        offsets = (
            known.first_offset,
            known.last_offset,
        )  # its samples exist, so only seal it again to make it the last version
    else:
        offsets = None
    async with open_asking(platform, content.tenant_id, [RESULTS, DEAD_LETTERS]) as asking:
        if offsets is None:
            offsets = await _written(platform, content)
        seal = _seal(content, offsets, author)
        (result,) = await ask_all(asking, Codec(platform.topics, []), [seal], timeout_s)
    _refuse(result)
    return result.code, result.at


async def _written(platform: Platform, content: SetContent) -> tuple[int, int]:
    with work_progress("writing samples") as written:
        try:
            return await write_samples(platform, content, written)
        except asyncio.CancelledError:
            say("the import was interrupted and nothing was sealed: run the same command again")
            raise


def _seal(content: SetContent, offsets: tuple[int, int], author: str | None) -> SealSamples:
    return SealSamples(
        tenant_id=content.tenant_id,
        sample_set=content.sample_set,
        version=content.version,
        strata=strata_of(content.samples),
        first_offset=offsets[0],
        last_offset=offsets[1],
        author=author,
    )


def _refuse(result: CommandResult) -> None:
    if result.code is CommandCode.TOO_MANY_SAMPLES:
        raise ImportOtherSamples(str(result.detail))


def _tell(content: SetContent, code: CommandCode | None, *, as_json: bool) -> None:
    """Print the version. Without a code it was not written."""
    if json_wanted(as_json=as_json):
        labels = Counter(sample.label for sample in content.samples)
        print_json(
            {
                "sample_set": content.sample_set,
                "version": content.version,
                "code": code,
                "samples": len(content.samples),
                "attack": labels["attack"],
                "benign": labels["benign"],
            }
        )
    else:
        click.echo(f"{printable(content.sample_set)}@{content.version}")
