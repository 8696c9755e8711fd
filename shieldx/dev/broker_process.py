"""One run of a broker in its folder, from writing the settings file to the process's exit."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shieldx.dev.broker_folder import BrokerFolder
from shieldx.dev.child_process import kill_child, run_child, start_child, stop_child, wait_for_child
from shieldx.dev.kafka_answer import wait_for_answer
from shieldx.dev.kafka_program import KafkaProgram
from shieldx.dev.loopback_ports import ChooseAnotherPort, is_free
from shieldx.dev.server_properties import BrokerNode
from shieldx.dev.stack_error import StackError

if TYPE_CHECKING:
    import subprocess


class BrokerDidNotStart(StackError):
    """The broker exited or did not respond. The message quotes the end of its log and names the file.

    Correct what the log says, usually a port, a full disk or too little memory.
    """


class BrokerEnded(StackError):
    """The broker exited although nobody stopped it.

    Restart it. The end of its log gives the cause.
    """

    def __init__(self, brief: str, log_end: str) -> None:
        super().__init__(f"{brief} ends:\n{log_end}")
        self.brief = brief
        """The message without the log."""


class _StartFailed(Exception):
    """Carries the cause to the place that quotes the log."""


class BrokerProcess:
    """A broker in `folder`, which the caller has locked. It is started once, and again only after `kill`."""

    def __init__(
        self, folder: BrokerFolder, program: KafkaProgram, node: BrokerNode, properties: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._node = node
        self._program = program
        self._properties = properties
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None when it is not running."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    async def start(self, *, timeout_s: float, flags: tuple[str, ...] = ()) -> None:
        """Format the folder if it is new, start the broker and return once it responds.

        Raises BrokerDidNotStart or ChooseAnotherPort; no process is left running then.
        """
        port = self._node.ports.broker
        if not is_free(port):
            raise ChooseAnotherPort(f"another process uses the broker's port {port} on 127.0.0.1")
        self._folder.prepare(self._node, self._properties)
        log_start_bytes = self._folder.log.stat().st_size
        try:
            async with asyncio.timeout(timeout_s):
                if not self._folder.is_formatted:
                    await self._format(timeout_s)
                await self._run(flags)
        except BaseException as error:
            self.kill()
            if not isinstance(error, (TimeoutError, _StartFailed)):
                raise
            what = str(error) or f"did not respond within {timeout_s:g} s"
            tail = self._folder.log_tail(log_start_bytes)
            raise BrokerDidNotStart(f"the broker {what}; its log {self._folder.log} ends:\n{tail}") from None

    async def stop(self, *, timeout_s: float) -> int | None:
        """Stop the broker gracefully, or kill it after `timeout_s`. Returns its exit status, None if not running."""
        if self._child is None:
            return None
        await stop_child(self._child, timeout_s=timeout_s)
        return self._child.returncode

    async def watch(self) -> None:
        """Wait until the broker exits unexpectedly.

        Raises:
            BrokerEnded: it exited by itself or was killed from outside. The message quotes the end of its log.
        """
        if self._child is None:
            raise RuntimeError("the broker is not running")
        status = await wait_for_child(self._child)
        brief = f"the broker exited with status {status}; its log {self._folder.log}"
        raise BrokerEnded(brief, self._folder.log_tail(0))

    def kill(self) -> None:
        """Kill the broker with SIGKILL, if it is running."""
        if self._child is not None:
            kill_child(self._child)
            self._child = None

    async def _format(self, timeout_s: float) -> None:
        folder = self._folder
        command = folder.format_command(self._program, self._node, self._properties)
        status = await run_child(command, folder=folder.root, output=folder.log, timeout_s=timeout_s)
        if status != 0:
            raise _StartFailed(f"could not format its data folder (exit status {status})")
        folder.adopt_formatted()

    async def _run(self, flags: tuple[str, ...]) -> None:
        folder = self._folder
        command = self._program.command(*folder.broker_arguments, temporary=folder.temporary, flags=flags)
        self._child = start_child(command, folder=folder.root, output=folder.log)
        folder.pid_file.write_text(f"{self._child.pid}\n", encoding="ascii")
        cluster_id = await _answer_of(self._child, self._node)
        if cluster_id != self._node.plan.cluster_id:
            raise _StartFailed(f"found another Kafka, {cluster_id}, on its port {self._node.ports.broker}")


async def _answer_of(child: "subprocess.Popen[bytes]", node: BrokerNode) -> str:
    answer = asyncio.ensure_future(wait_for_answer(node))
    end = asyncio.ensure_future(wait_for_child(child))
    try:
        done, _ = await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
        if end in done:
            raise _StartFailed(f"exited with status {end.result()} during start-up")
        return answer.result()
    finally:
        answer.cancel()
        end.cancel()
        await asyncio.gather(answer, end, return_exceptions=True)
