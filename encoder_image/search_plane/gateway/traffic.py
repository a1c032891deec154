"""What each release's queries came to within the last minute: counts and a latency histogram per second."""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

from search_plane.release.gateway_state import TRAFFIC_WINDOW_SECONDS, ReleaseTraffic

# Upper bounds in milliseconds, each a tenth above the one before: 1 ms .. 73 s in 119 steps.
_BOUNDS: Final = tuple(1.1**step for step in range(119))
# Releases told apart within one second; more than that is no traffic to judge by.
_MOST_RELEASES = 8


class _Second:
    """One release's queries within one second."""

    __slots__ = ("empty", "failed", "latencies")

    def __init__(self) -> None:
        self.failed = 0
        self.empty = 0
        self.latencies: dict[int, int] = {}


class Traffic:
    """The last TRAFFIC_WINDOW_SECONDS of queries, by release. Memory is bounded whatever the load."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that never go back."""
        self._clock = clock
        self._seconds: dict[int, dict[str, _Second]] = {}

    def answered(self, release: str, milliseconds: float, hits: int) -> None:
        """One query got its answer."""
        if (second := self._now(release)) is not None:
            step = min(bisect_left(_BOUNDS, milliseconds), len(_BOUNDS) - 1)
            second.latencies[step] = second.latencies.get(step, 0) + 1
            second.empty += hits == 0

    def failed(self, release: str) -> None:
        """One query got none."""
        if (second := self._now(release)) is not None:
            second.failed += 1

    def window(self) -> tuple[ReleaseTraffic, ...]:
        """The window up to now, releases in the order of their names."""
        self._forget(int(self._clock()))
        releases = sorted({release for second in self._seconds.values() for release in second})
        return tuple(
            _summary(release, [second[release] for second in self._seconds.values() if release in second])
            for release in releases
        )

    def _now(self, release: str) -> _Second | None:
        now = int(self._clock())
        releases = self._seconds.get(now)
        if releases is None:
            self._forget(now)
            releases = self._seconds[now] = {}
        if release not in releases and len(releases) < _MOST_RELEASES:
            releases[release] = _Second()
        return releases.get(release)

    def _forget(self, now: int) -> None:
        for second in [known for known in self._seconds if known <= now - TRAFFIC_WINDOW_SECONDS]:
            del self._seconds[second]


def _summary(release: str, seconds: Iterable[_Second]) -> ReleaseTraffic:
    failed = empty = 0
    counts = [0] * len(_BOUNDS)
    for second in seconds:
        failed += second.failed
        empty += second.empty
        for step, count in second.latencies.items():
            counts[step] += count
    return ReleaseTraffic(
        release=release,
        queries=sum(counts) + failed,
        failed=failed,
        empty=empty,
        p95_ms=percentile(counts, 0.95),
    )


def percentile(counts: list[int], share: float) -> float | None:
    """The value in milliseconds below which `share` of a histogram lies, at most 10 % off. Pure."""
    rank = math.ceil(share * sum(counts))
    for (low, high), count in zip(pairwise((0.0, *_BOUNDS)), counts, strict=True):
        if rank <= count and count:
            return round(low + (high - low) * rank / count, 3)
        rank -= count
    return None
