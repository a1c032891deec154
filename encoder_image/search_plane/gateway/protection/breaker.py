"""A breaker around a dependency's calls: turns them away at once while asking would only cost time."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from search_plane.gateway.faults import BreakerOpen, Dependency, Unavailable
from search_plane.gateway.protection.circuit import (
    Admission,
    Circuit,
    End,
    Outcome,
    Reason,
    State,
    admitted,
    at,
    lasting,
    opened,
    outcome,
    pause,
    told,
    verdict,
)
from search_plane.gateway.protection.window import RECENT, Window
from search_plane.release.policy import BreakerPolicy

log = logging.getLogger(__name__)

T = TypeVar("T")

# A probe outlives the query that began it, but no longer than this.
PROBE_SECONDS: Final = 2.0
_REASONS: Final[dict[Outcome, Reason]] = {"slow": "slow", "failed": "failed", "refused": "refused"}
_SUBJECTS: Final = {
    "encoder": "the encoder",
    "milvus": "Milvus",
    "elasticsearch": "the catalogue",
    "semantic": "the search by meaning",
}


class Breaker:
    """One dependency's breaker; for one event loop.

    `policy` is asked at each call, so that a changed one holds at once. `on_open` is told each opening and its reason.
    """

    def __init__(
        self,
        name: Dependency,
        policy: Callable[[], BreakerPolicy],
        clock: Callable[[], float] = time.monotonic,
        on_open: Callable[[Dependency, Reason], None] = lambda _name, _reason: None,
    ) -> None:
        self.name = name
        self._policy = policy
        self._clock = clock
        self._on_open = on_open
        self._circuit = Circuit()
        self._window = Window()
        self._probes: set[asyncio.Task[Any]] = set()

    @property
    def state(self) -> State:
        """As it is now."""
        return at(self._circuit, self._clock()).state

    @property
    def calm(self) -> bool:
        """Whether it is closed."""
        return self._circuit.state == "closed"

    async def call(
        self, work: Callable[[], Awaitable[T]], judge_latency: bool, *, regardless: bool = False
    ) -> T:
        """What `work` gives or raises. Raises BreakerOpen at once, without calling it, while this is open.

        `judge_latency`: also a p95 above the policy's `latency_ms` opens it. `regardless`: for when no other way is left;
        the call is made although this is open, and an answer then half-opens it. A call that is cancelled, or raises
        Unavailable for a deadline, counts against the dependency if it had FAIR_SECONDS. A probe is not cancelled with
        its caller: its answer is what closes this, so callers may leave it behind and answer another way.
        """
        if self._circuit.state == "closed":
            return await self._counted(work, judge_latency, "asked")
        self._now(at(self._circuit, self._clock()))
        circuit, admission = admitted(self._circuit, regardless)
        self._now(circuit)
        if admission == "turned away":
            raise self._turned_away()
        if admission == "asked":
            return await self._counted(work, judge_latency, admission)
        probe = asyncio.ensure_future(self._probe(work, judge_latency))
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        return await asyncio.shield(probe)

    async def close(self) -> None:
        """Ends the probe that is under way, if any."""
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    async def _probe(self, work: Callable[[], Awaitable[T]], judge_latency: bool) -> T:
        async def bounded() -> T:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    return await work()
            except TimeoutError:
                raise Unavailable(
                    self.name, "timeout", f"{_SUBJECTS[self.name]} did not answer in time"
                ) from None

        return await self._counted(bounded, judge_latency, "probe")

    def _probe_ended(self, probe: asyncio.Task[Any]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled():
            # asyncio complains of an exception that nobody asked for: the caller may have gone.
            probe.exception()

    async def _counted(
        self, work: Callable[[], Awaitable[T]], judge_latency: bool, admission: Admission
    ) -> T:
        epoch, began = self._circuit.epoch, self._clock()
        end: End = "else"
        try:
            answer = await work()
            end = "answer"
            return answer
        except asyncio.CancelledError:
            end = "gave up"
            raise
        except Unavailable as fault:
            end = end_of(fault)
            raise
        finally:
            self._ended(end, began, epoch, judge_latency, admission)

    def _ended(self, end: End, began: float, epoch: int, judge_latency: bool, admission: Admission) -> None:
        if epoch != self._circuit.epoch:
            return
        policy, now = self._policy(), self._clock()
        latency = policy.latency_ms / 1000 if judge_latency and policy.latency_ms > 0 else None
        result = outcome(end, now - began, latency)
        window = policy.window_seconds
        if self._circuit.state != "closed":
            before = self._circuit.state
            self._now(told(self._circuit, admission, result, now, window))
            if before != "open" and self._circuit.state == "open":
                self._on_open(self.name, _REASONS.get(result, "failed"))
            return
        self._window.add(result, now, window)
        if result in ("good", "nothing"):
            return
        recent = self._window.counts(now, window, RECENT)
        if (reason := verdict(self._window.counts(now, window), recent)) is not None:
            self._now(opened(self._circuit, now, window))
            self._on_open(self.name, reason)

    def _now(self, circuit: Circuit) -> None:
        before, self._circuit = self._circuit, circuit
        if before.state != circuit.state:
            self._window.clear()
            log.warning(
                "breaker %s", circuit.state, extra={"dependency": self.name, "openings": circuit.openings}
            )

    def _turned_away(self) -> BreakerOpen:
        now = self._clock()
        left = self._circuit.since + pause(self._circuit) - now if self._circuit.state == "open" else 0.0
        return BreakerOpen(
            self.name,
            f"{_SUBJECTS[self.name]} is left alone for a moment: its last calls were slow or failed",
            max(1, math.ceil(left)),
            lasting(self._circuit, now),
        )


def end_of(fault: Unavailable) -> End:
    """How a call ended that raised this. Pure."""
    if isinstance(fault, BreakerOpen) or fault.reason == "http_400":
        # An inner breaker judges its own calls; and what one query asks wrongly is not the catalogue's fault.
        return "else"
    if fault.reason == "timeout":
        return "gave up"
    return "overload" if fault.reason in ("overload", "http_429") else "fault"
