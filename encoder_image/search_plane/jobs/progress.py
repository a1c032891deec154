"""How far a job is: counts, rows per second over a recent window, and when it will be done."""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from search_plane.release.report import JobProgress, Phase

WINDOW_SECONDS = 30.0
# One sample per half second is enough to draw a rate from, and bounds the window's memory.
SAMPLE_SECONDS = 0.5


class Meter:
    """Rows per second over the last WINDOW_SECONDS, fed with a count that only grows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, window: float = WINDOW_SECONDS) -> None:
        self._clock = clock
        self._window = window
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._count = 0

    def update(self, count: int) -> None:
        """The count as of now."""
        now = self._clock()
        self._count = count
        if now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, count))
        # The sample just outside the window stays: it is where the window begins.
        while len(self._samples) > 1 and now - self._samples[1][0] >= self._window:
            self._samples.popleft()

    def rate(self) -> float:
        """Rows per second; 0 before any time has passed."""
        since, count = self._samples[0]
        elapsed = self._clock() - since
        return (self._count - count) / elapsed if elapsed > 0 else 0.0


class ProgressBoard:
    """What a running job shows at /progress. `done` and `total` are those of the pass in work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._meter = Meter(clock)
        self._started_at = datetime.now(UTC)
        self.phase: Phase = "Starting"
        self.total = 0
        self.embedded = 0
        self.unchanged = 0
        self.reused = 0
        self.updated = 0
        self.deleted = 0
        self.failed = 0
        self._done = 0
        self._pass_began = clock()
        self._scan_rate = 0.0

    def begin_pass(self, phase: Phase, total: int) -> None:
        """A new pass over `total` documents; what a pass counts starts again, what the job did is kept."""
        self.phase = phase
        self.total = total
        self._done = 0
        self._meter = Meter(self._clock)
        self._pass_began = self._clock()

    def settled(self, documents: int) -> None:
        """So many more documents of this pass are as they should be (or known to be bad)."""
        self._done += documents
        self._meter.update(self._done)
        elapsed = self._clock() - self._pass_began
        if self.phase == "Scanning" and elapsed > 0:
            self._scan_rate = self._done / elapsed

    def scan_rate(self) -> float:
        """Documents settled per second over the whole of the first pass."""
        return self._scan_rate

    def snapshot(self) -> JobProgress:
        """The progress as of now."""
        rate = self._meter.rate()
        # Documents that appear during a scan can take `done` past the total counted at its start.
        total = max(self.total, self._done)
        left = total - self._done
        if self.phase in ("Done", "Failed"):
            eta: float | None = 0.0 if self.phase == "Done" else None
        else:
            eta = round(left / rate, 1) if rate > 0 else None
        return JobProgress(
            phase=self.phase,
            done=self._done,
            total=total,
            embedded=self.embedded,
            unchanged=self.unchanged,
            reused=self.reused,
            updated=self.updated,
            deleted=self.deleted,
            failed=self.failed,
            rows_per_second=round(rate, 1),
            eta_seconds=eta,
            started_at=self._started_at,
        )
