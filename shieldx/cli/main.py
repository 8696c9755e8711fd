"""The command `shieldx`: its commands by name, each imported only when it is called."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from shieldx.cli.lazy_group import CommandEntry, LazyGroup
from shieldx.cli.masked_stderr import mask_stderr
from shieldx.errors import ShieldXError

EXIT_INTERRUPTED = 130


COMMANDS = {
    "up": CommandEntry("up", "Start Kafka, create the topics and run every agent, until Ctrl-C."),
    "down": CommandEntry("down", "Stop a running `shieldx up`."),
    "status": CommandEntry("status", "Check brokers, topics and agents."),
    "reset": CommandEntry("reset", "Delete the embedded stack's data."),
    "top": CommandEntry("top", "Watch rates, lag, latency and state of running workers."),
    "worker": CommandEntry("worker", "Run workers for agents, until SIGTERM."),
    "topics": CommandEntry("topics", "List, create and compare the topics of the manifests, and list their ACLs."),
    "topology": CommandEntry("topology", "Draw the graph of agents and topics."),
    "send": CommandEntry("send", "Send commands from a file of JSON lines and print their results."),
    "results": CommandEntry("results", "Print results."),
    "dead-letters": CommandEntry("dead_letters", "List, show, replay and explain dead letters."),
    "balance": CommandEntry("balance", "Print a tenant's balance, now or at an earlier time."),
    "statement": CommandEntry("statement", "Print a tenant's account statement."),
    "audit": CommandEntry("audit", "Verify, search, export and sign the audit log."),
    "privacy": CommandEntry("privacy", "List, erase and export personal data, and create the keys that protect it."),
    "evaluate": CommandEntry("evaluate", "Evaluate a rule on labelled requests before deployment."),
    "rule": CommandEntry("rule", "Put, list, compare and roll back detection rules."),
    "samples": CommandEntry("samples", "Import and list labelled requests for evaluations."),
    "mask": CommandEntry("mask", "Mask personal data and secrets in a file or a pipe."),
    "migrate": CommandEntry("migrate", "Update the schema in Postgres, or roll it back."),
    "schemas": CommandEntry("schemas", "Print or write the JSON Schema of every message."),
    "config": CommandEntry("config", "Print every setting."),
    "errors": CommandEntry("errors", "Explain every error: what it means and what to do."),
}


class NamedFailure(click.ClickException):
    """A click error with the message and the exit code of an error of ours."""

    def __init__(self, error: ShieldXError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code


class RootCommands(LazyGroup):
    """All commands. Named errors become a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call a command."""
        mask_stderr()
        try:
            return super().invoke(ctx)
        except ShieldXError as error:
            raise NamedFailure(error) from error
        except (KeyboardInterrupt, click.Abort):
            _interrupted(ctx)


def _interrupted(ctx: click.Context) -> NoReturn:
    ctx.exit(EXIT_INTERRUPTED)


@click.group(
    cls=RootCommands, package="shieldx.cli", table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="shieldx")
def main() -> None:
    """ShieldX: an event-driven platform on Kafka for teams that meter usage and defend web traffic.

    Settings are environment variables named SHIELDX_…; `shieldx config` prints them. Data is written to stdout,
    everything else to stderr.
    """
