"""The breakers of one release, and what they tell of themselves."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from search_plane.gateway.faults import Dependency
from search_plane.gateway.protection.breaker import Breaker
from search_plane.gateway.protection.circuit import Reason, State
from search_plane.release.policy import BreakerPolicy

GUARDED: Final[tuple[Dependency, ...]] = ("encoder", "milvus", "elasticsearch", "semantic")
_LEVELS: Final[dict[State, int]] = {"closed": 0, "half-open": 1, "open": 2}


class BreakerMetrics:
    """`gateway_breaker_state` (0 closed, 1 half-open, 2 open) of the release in use, and how often breakers opened."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._state = Gauge(
            "gateway_breaker_state",
            "Breakers of the release in use: 0 closed, 1 half-open, 2 open.",
            ["dependency"],
            registry=registry,
        )
        self._opened = Counter(
            "gateway_breaker_opened",
            "Times a breaker opened, by what its calls were.",
            ["dependency", "reason"],
            registry=registry,
        )
        self.show(None)

    def opened(self, dependency: Dependency, reason: Reason) -> None:
        """One breaker opened: its calls were slow, failed or refused."""
        self._opened.labels(dependency, reason).inc()

    def show(self, breakers: "Breakers | None") -> None:
        """Whose states the next scrape tells: those of the release in use; None without one."""
        states = breakers.states() if breakers is not None else {}
        for name in GUARDED:
            self._state.labels(name).set(_LEVELS[states.get(name, "closed")])


class Breakers:
    """One release's breakers: of its three parts by their failures, and of the search by meaning by its p95 too.

    Each release has its own: one that is switched to, or back to, must not inherit what another one's encoder did.
    """

    def __init__(
        self,
        policy: Callable[[], BreakerPolicy],
        metrics: BreakerMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def breaker(name: Dependency) -> Breaker:
            if metrics is None:
                return Breaker(name, policy, clock)
            return Breaker(name, policy, clock, metrics.opened)

        self._policy = policy
        self.encoder = breaker("encoder")
        self.milvus = breaker("milvus")
        self.elasticsearch = breaker("elasticsearch")
        self.semantic = breaker("semantic")

    @property
    def every(self) -> tuple[Breaker, ...]:
        """All four."""
        return (self.encoder, self.milvus, self.elasticsearch, self.semantic)

    def patience(self, seconds: float) -> float:
        """How long a query that has another answer waits for the search by meaning, of the `seconds` it otherwise may.

        While a part of it is being probed no longer than it may take: the probe goes on, its query need not wait.
        """
        limit = self._policy().latency_ms / 1000
        if limit <= 0 or all(breaker.calm for breaker in (self.encoder, self.milvus, self.semantic)):
            return seconds
        return min(seconds, limit)

    def states(self) -> dict[str, State]:
        """State by name, as /release tells it."""
        return {breaker.name: breaker.state for breaker in self.every}

    async def close(self) -> None:
        """Ends probes that are under way."""
        await asyncio.gather(*(breaker.close() for breaker in self.every))
