"""The routes over the tiny model, in this process."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from search_plane.encoder.server import create_app
from search_plane.encoder.service import Loaded, load
from search_plane.encoder.settings import Settings

from tests.testbed.weights.folder import WeightsFolder
from tests.unit.encoder.runtime_doubles import NanRuntime, ScriptedRuntime, until

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]
FINGERPRINT = "X-Encoder-Fingerprint"


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started application."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://encoder") as client,
    ):
        yield client


def play(app: FastAPI, scenario: Scenario) -> None:
    """Run a scenario against the started application."""

    async def run() -> None:
        async with serving(app) as client:
            await scenario(client)

    asyncio.run(run())


@pytest.fixture
def settings(tiny_encoder: WeightsFolder) -> Settings:
    """Settings that serve the tiny model with prefixes, so that they show."""
    identity = tiny_encoder.identity.model_copy(
        update={"query_prefix": "查询:", "document_prefix": "文档:", "max_tokens": 16}
    )
    return Settings(identity, tiny_encoder.path, probe_seconds=0.02, max_queue_tokens=40)


def test_embed_answers_unit_vectors_in_order_with_the_fingerprint(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/embed", json={"inputs": ["小米", "大米", "小米"]})
        assert answer.status_code == 200
        assert answer.headers[FINGERPRINT] == settings.identity.fingerprint()
        first, second, third = answer.json()
        assert first == third != second
        np.testing.assert_allclose(np.linalg.norm([first, second], axis=1), 1, atol=1e-5)

    play(create_app(settings, load(settings)), scenario)


def test_a_prompt_s_name_puts_its_prefix_in_front(settings: Settings) -> None:
    async def vector(client: httpx.AsyncClient, **body: Any) -> list[float]:
        answer = await client.post("/embed", json=body)
        return list(answer.raise_for_status().json()[0])

    async def scenario(client: httpx.AsyncClient) -> None:
        named = await vector(client, inputs="耳机", prompt_name="query")
        assert named == await vector(client, inputs="查询:耳机")
        assert named != await vector(client, inputs="耳机")
        assert await vector(client, inputs="耳机", prompt_name="document") == await vector(
            client, inputs="文档:耳机"
        )

    play(create_app(settings, load(settings)), scenario)


def test_normalize_false_gives_the_model_s_own_length(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        raw = (await client.post("/embed", json={"inputs": "米", "normalize": False})).json()[0]
        unit = (await client.post("/embed", json={"inputs": "米"})).json()[0]
        assert abs(np.linalg.norm(raw) - 1) > 0.1
        np.testing.assert_allclose(np.array(raw) / np.linalg.norm(raw), unit, atol=1e-6)

    play(create_app(settings, load(settings)), scenario)


def test_a_long_text_is_cut_or_refused_as_asked(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        # 16 tokens with [CLS] and [SEP]: 14 characters.
        cut = (await client.post("/embed", json={"inputs": "米" * 30})).json()
        assert cut == (await client.post("/embed", json={"inputs": "米" * 14})).json()
        refused = await client.post("/embed", json={"inputs": ["米", "米" * 15], "truncate": False})
        assert refused.status_code == 413
        assert refused.json() == {
            "error": '"inputs"[1] has 17 tokens, at most 16 are taken',
            "error_type": "validation",
        }

    play(create_app(settings, load(settings)), scenario)


def test_another_fingerprint_is_refused_before_anything_is_read(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        own = settings.identity.fingerprint()
        assert (
            await client.post("/embed", json={"inputs": "米"}, headers={FINGERPRINT: own})
        ).status_code == 200
        answer = await client.post("/embed", content=b"?", headers={FINGERPRINT: "sha256:other"})
        assert answer.status_code == 409
        assert answer.headers[FINGERPRINT] == own
        assert answer.json() == {
            "error": "this encoder serves another fingerprint",
            "error_type": "fingerprint_mismatch",
            "serves": own,
            "asked": "sha256:other",
        }
        # The body is another matter: refused as such when the fingerprint is right.
        assert (await client.post("/embed", content=b"?", headers={FINGERPRINT: own})).status_code == 422

    play(create_app(settings, load(settings)), scenario)


def test_bodies_over_the_limit_are_refused_announced_or_not(settings: Settings) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 1024 * 1024

    async def scenario(client: httpx.AsyncClient) -> None:
        for body in (b" " * (2 * 1024 * 1024 + 1), pieces()):
            answer = await client.post("/embed", content=body)
            assert (answer.status_code, answer.json()["error_type"]) == (413, "validation")
            assert answer.headers[FINGERPRINT] == settings.identity.fingerprint()

    play(create_app(settings, load(settings)), scenario)


def test_info_has_tei_s_keys_and_ours(settings: Settings, tiny_encoder: WeightsFolder) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        info = (await client.get("/info")).json()
        assert info["model_id"] == "tiny-random"
        assert info["model_type"] == {"embedding": {"pooling": "mean"}}
        assert info["max_client_batch_size"] == 256
        assert info["max_input_length"] == 16
        assert info["fingerprint"] == settings.identity.fingerprint()
        assert info["dimension"] == 32
        assert info["artefact"] == tiny_encoder.identity.weights
        assert info["identity"] == settings.identity.model_dump()

    play(create_app(settings, load(settings)), scenario)


def test_readiness_follows_the_vectors_and_liveness_does_not(settings: Settings) -> None:
    loaded = load(settings)
    runtime = NanRuntime(loaded.runtime)
    app = create_app(settings, Loaded(loaded.artefact, loaded.tokeniser, runtime))

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/readyz")).status_code == 200
        runtime.broken = True
        failed = await client.post("/embed", json={"inputs": "米"})
        assert (failed.status_code, failed.json()["error_type"]) == (424, "backend")
        # The failed request alone is reason enough; the probes need not come round first.
        unready = await client.get("/readyz")
        assert unready.status_code == 503
        assert "not finite" in unready.json()["error"]
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/health")).status_code == 200
        assert "encoder_ready 0.0" in (await client.get("/metrics")).text
        runtime.broken = False
        service = app.state.service
        await until("the probes to be right again", lambda: service.not_ready() is None)
        assert (await client.get("/readyz")).status_code == 200

    play(app, scenario)


def test_overload_is_429_with_a_time_to_wait(settings: Settings) -> None:
    loaded = load(settings)
    runtime = ScriptedRuntime()
    # The probes wait for the held runtime too; none shall come between.
    app = create_app(
        dataclasses.replace(settings, probe_seconds=3600), Loaded(loaded.artefact, loaded.tokeniser, runtime)
    )

    async def scenario(client: httpx.AsyncClient) -> None:
        runtime.hold()
        seen = len(runtime.batches)
        running = asyncio.create_task(client.post("/embed", json={"inputs": "米"}))
        await until("the first request to run", lambda: len(runtime.batches) > seen)
        waiting = asyncio.create_task(client.post("/embed", json={"inputs": ["米" * 10] * 4}))
        inflight = app.state.service.metrics.inflight_tokens._value
        await until("the second request to wait", lambda: inflight.get() >= 48)
        answer = await client.post("/embed", json={"inputs": "米"})
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["error_type"] == "overloaded"
        runtime.release()
        assert [(await task).status_code for task in (running, waiting)] == [200, 200]
        text = (await client.get("/metrics")).text
        assert 'encoder_requests_total{status="429"} 1.0' in text
        assert 'encoder_requests_total{status="200"} 2.0' in text

    play(app, scenario)


def test_openapi_describes_embed(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        embed = (await client.get("/openapi.json")).json()["paths"]["/embed"]["post"]
        assert set(embed["responses"]) >= {"200", "409", "413", "422", "424", "429"}
        assert "inputs" in embed["requestBody"]["content"]["application/json"]["schema"]["properties"]

    play(create_app(settings, load(settings)), scenario)
