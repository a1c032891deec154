"""Does the encoder still tell the truth? Recorded texts, embedded again and compared."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np

from search_plane.encoder.artefact import Artefact
from search_plane.encoder.metrics import Metrics
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
    """Checks the probes every `interval` seconds, and at once when something looks wrong."""

    def __init__(
        self,
        artefact: Artefact,
        embed: Callable[[tuple[str, ...]], Awaitable[FloatArray]],
        interval: float,
        metrics: Metrics,
    ) -> None:
        self._artefact = artefact
        self._embed = embed
        self._interval = interval
        self._metrics = metrics
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
        """Embed the probes and judge them."""
        try:
            vectors = await self._embed(self._artefact.probe_texts)
        except Exception as error:  # whatever breaks the probes is the verdict, and is shown and logged
            self._judge(f"the probes failed: {error}")
        else:
            self._judge(verdict(vectors, self._artefact.probe_vectors))

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
            log.warning("not ready: %s", reason) if reason else log.info("ready: the probes are right")
        self._reason = reason
        self._checked = time.monotonic()
        self._metrics.ready.set(reason is None)
