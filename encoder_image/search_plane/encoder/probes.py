"""Does the encoder still tell the truth? Recorded texts, embedded again and compared."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np
from prometheus_client import Gauge

from search_plane.encoder.pooling import FloatArray

MIN_COSINE = 0.999
NORM_TOLERANCE = 1e-3
STALE_PROBES = 6

log = logging.getLogger(__name__)


def verdict(vectors: FloatArray, recorded: FloatArray) -> str | None:
    """What is wrong with normalised probe vectors [probes, dimension]; None when nothing is.

    They must be finite, of length 1 (within 1e-3), and each within a cosine of 0.999 of its recorded vector.
    """
    if vectors.shape != recorded.shape:
        return f"the probes gave {vectors.shape}, expected {recorded.shape}"
    if not np.isfinite(vectors).all():
        return "a probe's vector is not finite"
    norms = np.linalg.norm(vectors, axis=1)
    if (np.abs(norms - 1) > NORM_TOLERANCE).any():
        return f"a probe's vector has length {norms[np.abs(norms - 1).argmax()]:.4f}, expected 1"
    cosines = (vectors * recorded).sum(axis=1) / np.linalg.norm(recorded, axis=1)
    if not (cosines >= MIN_COSINE).all():
        return (
            f"a probe's cosine to its recorded vector is {cosines.min():.4f}, expected at least {MIN_COSINE}"
        )
    return None


class Prober:
    """Asks for a verdict every `interval` seconds, and at once when something looks wrong.

    `judge` says what is wrong with the model's probes, None when nothing is; `ready` is set to 1 or 0 by it.
    """

    def __init__(
        self, what: str, judge: Callable[[], Awaitable[str | None]], interval: float, ready: Gauge
    ) -> None:
        self._what = what
        self._judge_probes = judge
        self._interval = interval
        self._ready = ready
        self._suspected = asyncio.Event()
        self._reason: str | None = "the probes have not been checked yet"
        self._checked = time.monotonic()

    def reason(self) -> str | None:
        """Why the encoder is not ready; None when it is.

        A verdict that was not renewed in time counts as bad.
        """
        age = time.monotonic() - self._checked
        if self._reason is None and age > STALE_PROBES * self._interval:
            return f"the probes have not answered for {age:.0f} s"
        return self._reason

    def suspect(self, reason: str) -> None:
        """A request got a bad vector: not ready from now on, until the probes are right again."""
        self._judge(reason)
        self._suspected.set()

    async def check(self) -> None:
        """Compute the probes and judge them."""
        try:
            reason = await self._judge_probes()
        except Exception as error:  # whatever breaks the probes is the verdict, and is shown and logged
            reason = f"the probes failed: {error}"
        self._judge(reason)

    async def run(self) -> None:
        """Check for ever; cancel to end."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._suspected.wait()
            self._suspected.clear()
            await self.check()
            # A model that fails for one text may fail for each: no check more often than twice a second.
            await asyncio.sleep(min(self._interval, 0.5))

    def _judge(self, reason: str | None) -> None:
        if reason != self._reason:
            if reason:
                log.warning("%s is not ready: %s", self._what, reason)
            else:
                log.info("%s is ready: the probes are right", self._what)
        self._reason = reason
        self._checked = time.monotonic()
        self._ready.set(reason is None)
