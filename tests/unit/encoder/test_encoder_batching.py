"""The batcher on an event loop, with a scripted runtime in the model's place."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence

import numpy as np
import pytest
from search_plane.encoder.batching import Batcher, Expired, InferenceFailed, Job, Overloaded, Priority, Served
from search_plane.encoder.metrics import Metrics
from search_plane.encoder.planning import BatchLimits
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds

from tests.unit.encoder.runtime_doubles import ScriptedRuntime, until

Scenario = Callable[[Batcher], Coroutine[None, None, None]]


def ids(length: int, last: int) -> tuple[int, ...]:
    return (*[1] * (length - 1), last)


def play(
    runtime: Runtime,
    scenario: Scenario,
    *,
    queue: int = 100,
    metrics: Metrics | None = None,
    reranker: Runtime | None = None,
) -> None:
    """Run a scenario against a batcher of at most four texts and 64 tokens a batch."""

    def served(model: Runtime) -> Served:
        return Served(model, BatchLimits(64, 4), queue, metrics or Metrics())

    async def run() -> None:
        batcher = Batcher(served(runtime), served(reranker) if reranker else None)
        try:
            await scenario(batcher)
        finally:
            batcher.close()

    asyncio.run(run())


async def held(
    batcher: Batcher, runtime: ScriptedRuntime, text: TokenIds, priority: Priority = Priority.QUERY
) -> Job:
    """A text that the runtime has begun with and keeps until it is released, so that whatever comes next waits."""
    runtime.hold()
    job = batcher.submit([text], priority=priority)
    await until("the first batch to start", lambda: len(runtime.batches) == 1)
    return job


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


def test_probes_are_computed_one_at_a_time_on_every_lane() -> None:
    runtime = ScriptedRuntime(lanes=2)

    async def scenario(batcher: Batcher) -> None:
        probes = [ids(3, 1), ids(3, 2), ids(5, 3)]
        vectors = await batcher.submit(probes, normalise=False, priority=Priority.PROBE).vectors
        assert vectors.tolist() == [[3, 1], [3, 2], [5, 3]]

    play(runtime, scenario)
    assert [len(batch) for batch in runtime.batches] == [1, 1, 1]


def test_vectors_are_normalised_unless_asked_otherwise() -> None:
    async def scenario(batcher: Batcher) -> None:
        vector = (await batcher.submit([ids(3, 4)]).vectors)[0]
        np.testing.assert_allclose(vector, [0.6, 0.8], rtol=1e-6)

    play(ScriptedRuntime(), scenario)


def test_a_free_lane_takes_at_once_what_is_waiting() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(3, 1))
        later = [batcher.submit([ids(3, 2)]), batcher.submit([ids(3, 3)])]
        runtime.release()
        await asyncio.gather(first.vectors, *(job.vectors for job in later))

    play(runtime, scenario)
    assert [len(batch) for batch in runtime.batches] == [1, 2]


def test_too_much_waiting_is_refused_with_a_time() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        running = await held(batcher, runtime, ids(8, 1))
        # Alone in the queue anything is taken, or a large request could never be served.
        waiting = batcher.submit([ids(8, 2)] * 15)
        with pytest.raises(Overloaded, match="120 tokens wait, at most 100 may") as caught:
            batcher.submit([ids(8, 3)])
        assert caught.value.retry_after >= 1
        urgent = batcher.submit([ids(8, 4)], priority=Priority.PROBE)
        runtime.release()
        await asyncio.gather(running.vectors, waiting.vectors, urgent.vectors)

    play(runtime, scenario)
    assert [text[-1] for text in runtime.batches[1]] == [4]


def test_a_query_goes_before_the_documents_that_came_earlier_and_never_among_them() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(4, 1), priority=Priority.DOCUMENT)
        documents = batcher.submit([ids(4, 2)] * 3, priority=Priority.DOCUMENT)
        queries = [batcher.submit([ids(4, 3)]), batcher.submit([ids(4, 4)])]
        runtime.release()
        await asyncio.gather(first.vectors, documents.vectors, *(query.vectors for query in queries))

    play(runtime, scenario)
    assert [[text[-1] for text in batch] for batch in runtime.batches][:2] == [[1], [3, 4]]
    # While queries come, a batch of documents is a quarter as large.
    assert [len(batch) for batch in runtime.batches][2:] == [1, 1, 1]


def test_documents_are_not_starved_by_queries() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        document = batcher.submit([ids(4, 1)], priority=Priority.DOCUMENT)
        deadline = asyncio.get_running_loop().time() + 20
        # The runtime is never without a query.
        queries = [batcher.submit([ids(4, 2)]) for _ in range(8)]
        while not document.vectors.done():
            assert asyncio.get_running_loop().time() < deadline, "the document waited 20 s behind queries"
            await queries.pop(0).vectors
            queries.append(batcher.submit([ids(4, 2)]))
        await asyncio.gather(*(query.vectors for query in queries))

    play(runtime, scenario, queue=1000)


def test_a_budget_that_documents_have_used_up_is_not_the_queries() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(8, 1))
        documents = batcher.submit([ids(8, 2)] * 12, priority=Priority.DOCUMENT)
        with pytest.raises(Overloaded):
            batcher.submit([ids(8, 3)], priority=Priority.DOCUMENT)
        query = batcher.submit([ids(8, 4)])
        runtime.release()
        await asyncio.gather(first.vectors, documents.vectors, query.vectors)

    play(runtime, scenario)


def test_pairs_go_to_the_re_ranker_after_the_queries_and_before_the_documents() -> None:
    runtime, pairs = ScriptedRuntime(), ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(4, 1))
        documents = batcher.submit([ids(4, 2)], priority=Priority.DOCUMENT)
        scored = batcher.submit([ids(4, 3)] * 2, priority=Priority.RERANK, normalise=False)
        query = batcher.submit([ids(4, 4)])
        runtime.release()
        order: list[str] = []

        async def noted(name: str, job: Job) -> None:
            await job.vectors
            order.append(name)

        await asyncio.gather(
            first.vectors, noted("documents", documents), noted("pairs", scored), noted("query", query)
        )
        assert order == ["query", "pairs", "documents"]
        assert (await scored.vectors).tolist() == [[4, 3], [4, 3]]

    play(runtime, scenario, reranker=pairs)
    assert [[text[-1] for text in batch] for batch in runtime.batches] == [[1], [4], [2]]
    # Beside queries its batches are smaller too.
    assert [len(batch) for batch in pairs.batches] == [1, 1]


def test_re_ranking_is_shed_first() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(8, 1))
        queries = [batcher.submit([ids(8, 2)]) for _ in range(8)]
        pairs = batcher.submit([ids(8, 3)], priority=Priority.RERANK)
        queries.append(batcher.submit([ids(8, 2)]))
        # More than the next batch of 64 tokens waits; queries are still taken.
        with pytest.raises(Overloaded, match="72 tokens of queries wait; nothing is re-ranked meanwhile"):
            batcher.submit([ids(8, 4)], priority=Priority.RERANK)
        queries.append(batcher.submit([ids(8, 2)]))
        runtime.release()
        await asyncio.gather(first.vectors, pairs.vectors, *(query.vectors for query in queries))

    play(runtime, scenario, reranker=ScriptedRuntime())


def test_a_score_of_nothing_is_as_good_as_any() -> None:
    class Zeros(ScriptedRuntime):
        """A runtime double whose scores are 0, and not a number for what ends in token 13."""

        def run(self, texts: Sequence[TokenIds]) -> FloatArray:
            return np.array([[np.nan if one[-1] == 13 else 0.0] for one in texts], np.float32)

    async def scenario(batcher: Batcher) -> None:
        good = batcher.submit([ids(3, 1)], priority=Priority.RERANK, normalise=False)
        bad = batcher.submit([ids(3, 13)], priority=Priority.RERANK, normalise=False)
        assert (await good.vectors).tolist() == [[0.0]]
        with pytest.raises(InferenceFailed, match="not finite"):
            await bad.vectors

    play(ScriptedRuntime(), scenario, reranker=Zeros())


def test_what_its_caller_no_longer_waits_for_is_not_computed() -> None:
    runtime, metrics = ScriptedRuntime(), Metrics()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(4, 1))
        late = batcher.submit([ids(4, 2)], within=0.01)
        patient = batcher.submit([ids(4, 3)], within=20)
        await until("its time to be over", lambda: time.perf_counter() > late.until)
        runtime.release()
        await asyncio.gather(first.vectors, patient.vectors)
        with pytest.raises(Expired, match="the time given was over"):
            await late.vectors

    play(runtime, scenario, metrics=metrics)
    assert [[text[-1] for text in batch] for batch in runtime.batches] == [[1], [3]]
    assert metrics.dropped._value.get() == 1


def test_what_cannot_be_begun_in_time_is_refused_at_once() -> None:
    runtime = ScriptedRuntime()

    async def scenario(batcher: Batcher) -> None:
        first = await held(batcher, runtime, ids(8, 1))
        waiting = batcher.submit([ids(8, 2)] * 12)
        # 8 run, 96 wait and 3 come; nothing has been computed yet, so that the speed is the guess: 5000 a second.
        with pytest.raises(Overloaded, match=r"96 tokens wait, so that it would take 0.0214 s of the 0.01"):
            batcher.submit([ids(3, 3)], within=0.01)
        runtime.release()
        await asyncio.gather(first.vectors, waiting.vectors)

    play(runtime, scenario)


def test_what_nobody_waits_for_is_never_computed_and_not_counted() -> None:
    runtime, metrics = ScriptedRuntime(), Metrics()

    async def scenario(batcher: Batcher) -> None:
        kept = await held(batcher, runtime, ids(4, 1))
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
