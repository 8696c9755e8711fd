"""The story that a trace tells: tenants buy, spend and hold credits, get refused, and ask for refunds.

Everything follows from the trace. A command that depends on an earlier result (a refund needs its transaction, a late
commit needs the expiry) is also derived from the trace, and waits for that result.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

from shieldx.demo.mistakes import MISTAKES, Slip
from shieldx.demo.steps import Step, step_of
from shieldx.domains.credits.messages import Abort, Batch, Commit, Consume, Purchase, Refund, Reserve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.demo.results import SeenResult
    from shieldx.demo.trace import Trace, TraceRow
    from shieldx.domains.credits.messages import Command, Single

TENANTS = tuple(f"org-{number:02}" for number in range(1, 21))
SHORT_OF_CREDITS = frozenset(TENANTS[::7])
"""Tenants that buy less than they want to spend."""
OPENING = 10_000
TOP_UP_ROWS = 500
"""Every tenant tops up each time after this many rows, for what it is about to use."""
TOP_UP_SHARE, SHORT_SHARE = 1.2, 0.8
SETTLE_ROWS = 40
"""The maximum number of rows until a hold is settled or a retry is sent."""
HOLD_S, FORGOTTEN_HOLD_S = 60, 1


class Scene(NamedTuple):
    """One row of the trace in one round: the tenant, the tokens, and a key that no other scene uses."""

    tenant_id: str
    key: str
    context: int
    generated: int
    choice: int
    """Evenly distributed over the possible plots; the same in every round."""

    @property
    def tokens(self) -> int:
        """Tokens read and written. Each costs one credit."""
        return self.context + self.generated


Plot: TypeAlias = "Callable[[Scene], list[Step]]"


class Story:
    """An endless series of steps: the trace, repeated with new keys."""

    def __init__(self, trace: Trace, partitions: int) -> None:
        self._scenes = [_scene(index, row) for index, row in enumerate(trace.rows)]
        self._partitions = partitions
        self._plots = list(self._plots_by_share())
        self._top_ups = _top_ups(self._scenes)
        self._later: dict[int, list[Step]] = defaultdict(list)
        self._awaited: dict[str, Callable[[SeenResult], list[Step]]] = {}
        self._played = 0
        self.open_holds: set[str] = set()
        """Reservation ids of abandoned holds that have neither expired nor been refused."""

    @property
    def rounds(self) -> float:
        """How many times the trace has been played."""
        return self._played / len(self._scenes)

    def opening(self) -> list[Step]:
        """Each tenant's first purchase, which creates its account."""
        return [
            self._step(Purchase(tenant_id=tenant_id, idempotency_key="opening", amount=OPENING))
            for tenant_id in TENANTS
        ]

    def next_row(self) -> list[Step]:
        """The steps of the next row, and the due steps of earlier rows."""
        number = self._played
        self._played += 1
        round_number, index = divmod(number, len(self._scenes))
        steps = list(self._purchases(round_number, index)) if index % TOP_UP_ROWS == 0 else []
        scene = self._scenes[index]._replace(key=f"{round_number}-{index}")
        steps += self._plots[scene.choice % len(self._plots)](scene)
        return steps + self._later.pop(number, [])

    def rest(self) -> list[Step]:
        """The remaining steps of earlier rows after the last row."""
        return [step for number in sorted(self._later) for step in self._later.pop(number)]

    def react(self, result: SeenResult) -> list[Step]:
        """The follow-up steps of a result, usually none."""
        if result.type == "expire":
            return self._commit_too_late(result)
        plan = self._awaited.pop(result.idempotency_key or "", None)
        return [] if plan is None else plan(result)

    def _plots_by_share(self) -> Iterator[Plot]:
        """Every plot, repeated as often as its share in percent."""
        for percent, plot in (
            (60, self._consume),
            (22, self._hold_and_commit),
            (5, self._hold_and_commit_in_parts),
            (3, self._hold_and_abort),
            (1, self._hold_and_forget),
            (3, self._consume_and_refund),
            (1, self._consume_and_retry),
            (1, self._use_key_twice),
            (1, self._batch),
            (1, self._batch_all_or_nothing),
            (2, self._mistake),
        ):
            yield from repeat(plot, percent)

    def _step(self, command: Command) -> Step:
        return step_of(command, self._partitions)

    def _put_off(self, scene: Scene, step: Step) -> None:
        delay = 1 + (scene.choice // len(self._plots)) % SETTLE_ROWS
        self._later[self._played - 1 + delay].append(step)

    def _purchases(self, round_number: int, index: int) -> Iterator[Step]:
        for tenant_id, amount in self._top_ups[index // TOP_UP_ROWS].items():
            key = f"{round_number}-{index}-top-up"
            yield self._step(Purchase(tenant_id=tenant_id, idempotency_key=key, amount=amount))

    def _consume(self, scene: Scene) -> list[Step]:
        return [self._step(_consume_of(scene))]

    def _hold_and_commit(self, scene: Scene) -> list[Step]:
        """The usual case: hold the maximum cost of the answer, then pay its actual cost."""
        if scene.tokens == 0:
            return self._hold_and_abort(scene)
        commit = Commit(
            tenant_id=scene.tenant_id,
            idempotency_key=f"{scene.key}-commit",
            reservation_id=scene.key,
            amount=scene.tokens,
        )
        self._put_off(scene, self._step(commit))
        return [self._step(_reserve_of(scene, HOLD_S))]

    def _hold_and_commit_in_parts(self, scene: Scene) -> list[Step]:
        """A streamed answer: pay for the prompt first."""
        if scene.context == 0 or scene.generated == 0:
            return self._hold_and_commit(scene)
        tenant_id, key = scene.tenant_id, scene.key
        prompt = Commit(
            tenant_id=tenant_id,
            idempotency_key=f"{key}-prompt",
            reservation_id=key,
            amount=scene.context,
            final=False,
        )
        answer = Commit(
            tenant_id=tenant_id, idempotency_key=f"{key}-answer", reservation_id=key, amount=scene.generated
        )
        self._put_off(scene, self._step(answer))
        return [self._step(_reserve_of(scene, HOLD_S)), self._step(prompt)]

    def _hold_and_abort(self, scene: Scene) -> list[Step]:
        abort = Abort(tenant_id=scene.tenant_id, idempotency_key=f"{scene.key}-abort", reservation_id=scene.key)
        self._put_off(scene, self._step(abort))
        return [self._step(_reserve_of(scene, HOLD_S))]

    def _hold_and_forget(self, scene: Scene) -> list[Step]:
        reserve = _reserve_of(scene, FORGOTTEN_HOLD_S)
        self.open_holds.add(scene.key)
        self._awaited[reserve.idempotency_key] = self._forget_if_refused
        return [self._step(reserve)]

    def _forget_if_refused(self, result: SeenResult) -> list[Step]:
        if result.code != "ok":
            self.open_holds.discard((result.idempotency_key or "").removesuffix("-reserve"))
        return []

    def _commit_too_late(self, expiry: SeenResult) -> list[Step]:
        reservation_id = expiry.reservation_id or ""
        self.open_holds.discard(reservation_id)
        key = f"{reservation_id}-late"
        commit = Commit(tenant_id=expiry.tenant_id, idempotency_key=key, reservation_id=reservation_id)
        return [self._step(commit)]

    def _consume_and_refund(self, scene: Scene) -> list[Step]:
        """Some refunds are for half of the amount, some for all of it, and some for all of it twice."""
        wishes: tuple[tuple[int | None, ...], ...] = (
            (scene.tokens // 2 or None,),
            (None,),
            (None, scene.tokens + 1),
        )
        amounts = wishes[scene.choice // len(self._plots) % len(wishes)]

        def refund(result: SeenResult) -> list[Step]:
            if result.code != "ok":
                return []
            return [
                self._step(
                    Refund(
                        tenant_id=scene.tenant_id,
                        idempotency_key=f"{scene.key}-refund-{number}",
                        transaction_id=result.transaction_id,
                        amount=amount,
                    )
                )
                for number, amount in enumerate(amounts)
            ]

        self._awaited[scene.key] = refund
        return self._consume(scene)

    def _consume_and_retry(self, scene: Scene) -> list[Step]:
        """Send the same command at once and later, as a producer does that has seen no result yet."""
        step = self._step(_consume_of(scene))
        self._put_off(scene, step)
        return [step, step]

    def _use_key_twice(self, scene: Scene) -> list[Step]:
        other = Consume(tenant_id=scene.tenant_id, idempotency_key=scene.key, amount=scene.tokens + 1)
        return [*self._consume(scene), self._step(other)]

    def _batch(self, scene: Scene) -> list[Step]:
        """A batch of independent commands. The second asks for more than any tenant has; the batch is sent twice."""
        prompt, answer = _consume_parts(scene)
        greed = Consume(tenant_id=scene.tenant_id, idempotency_key=f"{scene.key}-greed", amount=10**15)
        step = self._step(_batch_of(scene, [prompt, greed, answer], atomic=False))
        self._put_off(scene, step)
        return [step]

    def _batch_all_or_nothing(self, scene: Scene) -> list[Step]:
        """Half of the batches contain a command that must be refused, so that all of it is; then one is sent alone."""
        prompt, answer = _consume_parts(scene)
        if scene.choice // len(self._plots) % 2:
            return [self._step(_batch_of(scene, [prompt, answer], atomic=True))]
        settle = Commit(tenant_id=scene.tenant_id, idempotency_key=f"{scene.key}-commit", reservation_id="never-made")
        return [self._step(_batch_of(scene, [prompt, settle, answer], atomic=True)), self._step(prompt)]

    def _mistake(self, scene: Scene) -> list[Step]:
        slip = Slip(scene.tenant_id, scene.key, scene.tokens, self._partitions)
        return MISTAKES[scene.choice // len(self._plots) % len(MISTAKES)](slip)


def _scene(index: int, row: TraceRow) -> Scene:
    text = f"{index},{row.at.isoformat()},{row.context_tokens},{row.generated_tokens}".encode()
    tenant_id = TENANTS[crc32(b"tenant," + text) % len(TENANTS)]
    return Scene(tenant_id, "", row.context_tokens, row.generated_tokens, crc32(text))


def _top_ups(scenes: list[Scene]) -> list[dict[str, int]]:
    """What each tenant buys at each top-up: a share of what the following rows will cost."""
    wanted: list[dict[str, int]] = []
    for index, scene in enumerate(scenes):
        if index % TOP_UP_ROWS == 0:
            wanted.append(defaultdict(int))
        wanted[-1][scene.tenant_id] += scene.tokens
    return [
        {
            tenant_id: 1 + int(tokens * (SHORT_SHARE if tenant_id in SHORT_OF_CREDITS else TOP_UP_SHARE))
            for tenant_id, tokens in sorted(each.items())
        }
        for each in wanted
    ]


def _consume_of(scene: Scene) -> Consume:
    return Consume(tenant_id=scene.tenant_id, idempotency_key=scene.key, amount=scene.tokens, actor="gateway")


def _reserve_of(scene: Scene, ttl_s: int) -> Reserve:
    """The length of the answer is not known yet when the hold is made."""
    return Reserve(
        tenant_id=scene.tenant_id,
        idempotency_key=f"{scene.key}-reserve",
        reservation_id=scene.key,
        amount=scene.context + 2 * scene.generated + 16,
        ttl_s=ttl_s,
        actor="gateway",
    )


def _consume_parts(scene: Scene) -> tuple[Single, Single]:
    tenant_id = scene.tenant_id
    return (
        Consume(tenant_id=tenant_id, idempotency_key=f"{scene.key}-prompt", amount=scene.context),
        Consume(tenant_id=tenant_id, idempotency_key=f"{scene.key}-answer", amount=scene.generated),
    )


def _batch_of(scene: Scene, commands: list[Single], *, atomic: bool) -> Batch:
    return Batch(tenant_id=scene.tenant_id, idempotency_key=scene.key, commands=commands, atomic=atomic)
