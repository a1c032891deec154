"""The verdict on probe vectors, and the prober's memory."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from search_plane.encoder.artefact import Artefact, load_artefact
from search_plane.encoder.metrics import Metrics
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.probes import Prober, verdict

from tests.testbed.weights.folder import WeightsFolder
from tests.unit.encoder.runtime_doubles import until

RECORDED = np.eye(3, 4, dtype=np.float32)


def test_the_recorded_vectors_are_right() -> None:
    assert verdict(RECORDED.copy(), RECORDED) is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([np.nan, 0, 0, 0], "not finite"),
        ([0, np.inf, 0, 0], "not finite"),
        ([0, 0.9, 0, 0], "length 0.9000, expected 1"),
        ([0, 0, 0, 1], "cosine to its recorded vector is 0.0000"),
        ([0, 0.998, 0.0632, 0], "cosine to its recorded vector is 0.9980, expected at least 0.999"),
    ],
)
def test_what_is_wrong_with_one_of_them_is_said(row: list[float], says: str) -> None:
    vectors = RECORDED.copy()
    vectors[1] = row
    assert says in (verdict(vectors, RECORDED) or "")


def test_missing_vectors_are_wrong() -> None:
    assert "expected (3, 4)" in (verdict(RECORDED[:2], RECORDED) or "")


@pytest.fixture
def artefact(tiny_encoder: WeightsFolder) -> Artefact:
    """The tiny artefact, for its recorded probes."""
    return load_artefact(tiny_encoder.path, None)


def prober_of(
    artefact: Artefact,
    embed: Callable[[tuple[str, ...]], Awaitable[FloatArray]],
    interval: float,
    metrics: Metrics,
) -> Prober:
    """A prober that judges what `embed` gives for the artefact's probes."""

    async def judge() -> str | None:
        return verdict(await embed(artefact.probe_texts), artefact.probe_vectors)

    return Prober("the encoder", judge, interval, metrics.ready)


def test_a_prober_starts_unready_turns_ready_and_back(artefact: Artefact) -> None:
    async def scenario() -> None:
        answers: list[FloatArray] = [artefact.probe_vectors]
        metrics = Metrics()

        async def embed(texts: tuple[str, ...]) -> FloatArray:
            assert texts == artefact.probe_texts
            return answers[0]

        prober = prober_of(artefact, embed, 0.01, metrics)
        assert prober.reason() == "the probes have not been checked yet"
        await prober.check()
        assert prober.reason() is None
        running = asyncio.create_task(prober.run())
        answers[0] = np.full_like(artefact.probe_vectors, np.nan)
        await until(
            "the broken model to be seen", lambda: prober.reason() == "a probe's vector is not finite"
        )
        assert metrics.ready._value.get() == 0
        answers[0] = artefact.probe_vectors
        await until("the healed model to be seen", lambda: prober.reason() is None)
        running.cancel()

    asyncio.run(scenario())


def test_a_model_that_raises_is_not_ready(artefact: Artefact) -> None:
    async def scenario() -> None:
        async def embed(texts: tuple[str, ...]) -> FloatArray:
            raise RuntimeError("CUDA error 700")

        prober = prober_of(artefact, embed, 1, Metrics())
        await prober.check()
        assert prober.reason() == "the probes failed: CUDA error 700"

    asyncio.run(scenario())


def test_a_model_that_hangs_is_not_ready(artefact: Artefact) -> None:
    async def scenario() -> None:
        hangs = asyncio.Event()
        calls = 0

        async def embed(texts: tuple[str, ...]) -> FloatArray:
            nonlocal calls
            calls += 1
            if calls > 1:
                await hangs.wait()
            return artefact.probe_vectors

        prober = prober_of(artefact, embed, 0.01, Metrics())
        await prober.check()
        running = asyncio.create_task(prober.run())
        await until("the hanging to be seen", lambda: "not answered for" in (prober.reason() or ""))
        running.cancel()

    asyncio.run(scenario())
