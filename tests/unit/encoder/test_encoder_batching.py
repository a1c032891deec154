"""The batcher on an event loop, with a scripted runtime in the model's place."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import numpy as np
import pytest
from search_plane.encoder.batching import Batcher, InferenceFailed, Overloaded
from search_plane.encoder.metrics import Metrics
from search_plane.encoder.planning import BatchLimits
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds

from tests.unit.encoder.runtime_doubles import ScriptedRuntime, until

Scenario = Callable[[Batcher], Coroutine[None, None, None]]


def ids(length: int, last: int) -> tuple[int, ...]:
    return (*[1] * (length - 1), last)


def play(runtime: Runtime, scenario: Scenario, *, queue: int = 100, metrics: Metrics | None = None) -> None:
    """Run a scenario against a batcher of at most four texts and 64 tokens a batch."""

    async def run() -> None:
        batcher = Batcher(runtime, BatchLimits(64, 4), queue, metrics or Metrics())
        try:
            await scenario(batcher)
        finally:
            batcher.close()

    asyncio.run(run())


def test_each_text_gets_its_own_vector_whatever_the_batches() -> None:
    runtime = ScriptedRuntime(lanes=2)

    async def scenario(batcher: Batcher) -> None:
        requests = [[ids(3 + (row + text) % 7, 100 * row + text) for text in range(5)] for row in range(4)]
        jobs = [batcher.submit(texts, normalise=False) for texts in requests]
        for texts, job in zip(requests, jobs, strict=True):
            assert (await job.vectors).tolist() == [[len(one), one[-1]] for one in texts]

    play(runtime, scenario, queue=1000)
    assert sum(len(batch) for batch in runtime.batches) == 20
    assert max(len(batch) for batch in runtime.batches) == 4


def test_vectors_are_normalised_unless_asked_otherwise() -> None:
    async def scenario(batcher: Batcher) -> None:
        vector = (await batcher.submit([ids(3, 4)]).vectors)[0]
        np.testing.assert_allclose(vector, [0.6, 0.8], rtol=1e-6)

    play(ScriptedRuntime(), scenario)


def test_a_free_lane_takes_at_once_what_is_waiting() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        runtime.hold()
        first = batcher.submit([ids(3, 1)])
        await until("the first batch to start", lambda: len(runtime.batches) == 1)
        later = [batcher.submit([ids(3, 2)]), batcher.submit([ids(3, 3)])]
        runtime.release()
        await asyncio.gather(first.vectors, *(job.vectors for job in later))

    play(runtime, scenario)
    assert [len(batch) for batch in runtime.batches] == [1, 2]


def test_too_much_waiting_is_refused_with_a_time() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        runtime.hold()
        running = batcher.submit([ids(8, 1)])
        await until("the first batch to start", lambda: len(runtime.batches) == 1)
        # Alone in the queue anything is taken, or a large request could never be served.
        waiting = batcher.submit([ids(8, 2)] * 15)
        with pytest.raises(Overloaded, match="120 tokens wait, at most 100 may") as caught:
            batcher.submit([ids(8, 3)])
        assert caught.value.retry_after >= 1
        urgent = batcher.submit([ids(8, 4)], urgent=True)
        runtime.release()
        await asyncio.gather(running.vectors, waiting.vectors, urgent.vectors)

    play(runtime, scenario)
    assert any(text[-1] == 4 for text in runtime.batches[1])


def test_what_nobody_waits_for_is_never_computed_and_not_counted() -> None:
    runtime, metrics = ScriptedRuntime(), Metrics()

    async def scenario(batcher: Batcher) -> None:
        runtime.hold()
        kept = batcher.submit([ids(4, 1)])
        await until("the first batch to start", lambda: len(runtime.batches) == 1)
        gone = batcher.submit([ids(4, 2)] * 3)
        last = batcher.submit([ids(4, 3)])
        gone.cancel()
        runtime.release()
        await asyncio.gather(kept.vectors, last.vectors)
        await until("all tokens to be settled", lambda: metrics.inflight_tokens._value.get() == 0)

    play(runtime, scenario, metrics=metrics)
    assert [[text[-1] for text in batch] for batch in runtime.batches] == [[1], [3]]


def test_a_bad_vector_fails_its_request_only() -> None:
    class HalfNan(ScriptedRuntime):
        """A runtime double whose texts that end in token 13 overflow."""

        def run(self, texts: Sequence[TokenIds]) -> FloatArray:
            vectors = super().run(texts)
            vectors[[one[-1] == 13 for one in texts]] = np.nan
            return vectors

    async def scenario(batcher: Batcher) -> None:
        good, bad = batcher.submit([ids(4, 1)]), batcher.submit([ids(4, 2), ids(4, 13)])
        with pytest.raises(InferenceFailed, match="not finite"):
            await bad.vectors
        assert np.isfinite(await good.vectors).all()

    play(HalfNan(), scenario)


def test_a_runtime_that_raises_fails_its_batch_and_goes_on() -> None:
    class FailsOnce(ScriptedRuntime):
        """A runtime double whose first call fails."""

        def run(self, texts: Sequence[TokenIds]) -> FloatArray:
            if not self.batches:
                self.batches.append(list(texts))
                raise RuntimeError("CUDA out of memory")
            return super().run(texts)

    async def scenario(batcher: Batcher) -> None:
        with pytest.raises(InferenceFailed, match="the runtime failed: CUDA out of memory"):
            await batcher.submit([ids(4, 1)]).vectors
        assert (await batcher.submit([ids(4, 2)]).vectors).shape == (1, 2)

    play(FailsOnce(), scenario)
