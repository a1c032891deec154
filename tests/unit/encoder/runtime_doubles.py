"""Stand-ins for the model: they give vectors that a test can foresee, when the test says so."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds

DEADLINE_SECONDS = 20.0


class ScriptedRuntime:
    """A runtime double: a text's vector is (length, last token). `hold` makes calls wait until `release`."""

    call_tokens = 16

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self.batches: list[list[TokenIds]] = []
        self._open = threading.Event()
        self._open.set()

    def hold(self) -> None:
        """From now on calls wait."""
        self._open.clear()

    def release(self) -> None:
        """Waiting and later calls go on."""
        self._open.set()

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """Records the batch, then answers it."""
        self.batches.append(list(texts))
        assert self._open.wait(DEADLINE_SECONDS), "the test never released the runtime"
        return np.array([[len(ids), ids[-1]] for ids in texts], np.float32)


class NanRuntime:
    """A session double around a real one that answers NaN while `broken`, as fp16 overflow does."""

    def __init__(self, real: Runtime) -> None:
        self._real = real
        self.broken = False
        self.lanes = 1
        self.call_tokens = 16

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """The real vectors, or as many of NaN."""
        vectors: FloatArray = self._real.run(texts)
        return np.full_like(vectors, np.nan) if self.broken else vectors


async def until(what: str, condition: Callable[[], bool]) -> None:
    """Give the loop turns until the condition holds; fails after the deadline, naming what was waited for."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS:.0f} s for {what}"
        await asyncio.sleep(0.001)
