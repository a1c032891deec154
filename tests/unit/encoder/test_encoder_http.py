"""The routes over the tiny model, in this process."""

import asyncio
import base64
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from search_plane.encoder.routes import create_app
from search_plane.encoder.service import Loaded, load
from search_plane.encoder.settings import MAX_CLIENT_BATCH_SIZE, Settings
from starlette.routing import Route

from tests.testbed.weights.folder import WeightsFolder
from tests.unit.encoder.http_scenario import play, serving
from tests.unit.encoder.runtime_doubles import NanRuntime, ScriptedRuntime, until

FINGERPRINT = "X-Encoder-Fingerprint"
TIMEOUT = "X-Request-Timeout-Ms"


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
        # TEI's route tells the truth too.
        assert (await client.get("/health")).status_code == 503
        assert "encoder_ready 0.0" in (await client.get("/metrics")).text
        runtime.broken = False
        service = app.state.service
        await until("the probes to be right again", lambda: service.not_ready() is None)
        assert (await client.get("/readyz")).status_code == 200

    play(app, scenario)


class Held:
    """The application over a runtime double that has begun with one request and keeps it, so that others wait."""

    def __init__(self, settings: Settings) -> None:
        loaded = load(settings)
        self.runtime = ScriptedRuntime()
        # The probes wait for the held runtime too; none shall come between.
        self.app = create_app(
            dataclasses.replace(settings, probe_seconds=3600),
            Loaded(loaded.artefact, loaded.tokeniser, self.runtime),
        )

    async def begin(self, client: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
        """The request that is kept."""
        self.runtime.hold()
        seen = len(self.runtime.batches)
        running = asyncio.create_task(client.post("/embed", json={"inputs": "米"}))
        await until("the first request to run", lambda: len(self.runtime.batches) > seen)
        return running

    async def inflight(self, tokens: int) -> None:
        """Until so many tokens run or wait."""
        gauge = self.app.state.service.metrics.inflight_tokens._value
        await until(f"{tokens} tokens to be in flight", lambda: gauge.get() >= tokens)


def test_overload_is_429_with_a_time_to_wait(settings: Settings) -> None:
    held = Held(settings)

    async def scenario(client: httpx.AsyncClient) -> None:
        running = await held.begin(client)
        waiting = asyncio.create_task(client.post("/embed", json={"inputs": ["米" * 10] * 4}))
        await held.inflight(48)
        answer = await client.post("/embed", json={"inputs": "米"})
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["error_type"] == "overloaded"
        held.runtime.release()
        assert [(await task).status_code for task in (running, waiting)] == [200, 200]
        text = (await client.get("/metrics")).text
        assert 'encoder_requests_total{status="429"} 1.0' in text
        assert 'encoder_requests_total{status="200"} 2.0' in text

    play(held.app, scenario)


def test_the_answer_to_a_caller_whose_time_is_over_is_503(settings: Settings) -> None:
    held = Held(settings)

    async def scenario(client: httpx.AsyncClient) -> None:
        running = await held.begin(client)
        late = asyncio.create_task(client.post("/embed", json={"inputs": "米"}, headers={TIMEOUT: "20"}))
        await held.inflight(6)
        over = time.monotonic() + 0.02
        await until("its time to be over", lambda: time.monotonic() > over)
        held.runtime.release()
        assert (await running).status_code == 200
        answer = await late
        assert (answer.status_code, answer.json()["error_type"]) == (503, "overloaded")
        assert answer.headers["Retry-After"] == "1"

    play(held.app, scenario)


@pytest.mark.parametrize("value", ["", "0", "-5", "1.5", "soon", "²"])
def test_a_time_that_is_none_is_refused(settings: Settings, value: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        headers = [(TIMEOUT.encode(), value.encode())]
        answer = await client.post("/embed", json={"inputs": "米"}, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("X-Request-Timeout-Ms: expected milliseconds")

    play(create_app(settings, load(settings)), scenario)


@pytest.mark.parametrize(("form", "kind", "tolerance"), [("float32", "<f4", 0), ("float16", "<f2", 1e-3)])
def test_vectors_come_as_bytes_where_the_caller_asks(
    settings: Settings, form: str, kind: str, tolerance: float
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        body = {"inputs": ["小米", "大米"]}
        accept = {"Accept": f"application/octet-stream;dtype={form}"}
        answer = (await client.post("/embed", json=body, headers=accept)).raise_for_status()
        assert answer.headers["Content-Type"] == f"application/octet-stream;dtype={form}"
        vectors = np.frombuffer(answer.content, kind).reshape(2, 32)
        expected = np.array((await client.post("/embed", json=body)).json(), np.float32)
        np.testing.assert_allclose(vectors, expected, atol=tolerance)
        refused = await client.post("/embed", json={"inputs": []}, headers=accept)
        assert (refused.status_code, refused.json()["error_type"]) == (422, "empty")

    play(create_app(settings, load(settings)), scenario)


def test_embeddings_are_the_same_vectors_in_openai_s_json(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        expected = (await client.post("/embed", json={"inputs": ["小米", "大米"]})).json()
        body = {"input": ["小米", "大米"], "model": "text-embedding-3-small", "user": "u"}
        answer = (await client.post("/v1/embeddings", json=body)).json()
        assert [row["embedding"] for row in answer["data"]] == expected
        assert [(row["object"], row["index"]) for row in answer["data"]] == [
            ("embedding", 0),
            ("embedding", 1),
        ]
        assert (answer["object"], answer["model"]) == ("list", "tiny-random")
        # Two characters, [CLS] and [SEP], twice.
        assert answer["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
        packed = (await client.post("/v1/embeddings", json={**body, "encoding_format": "base64"})).json()
        vector = np.frombuffer(base64.b64decode(packed["data"][1]["embedding"]), "<f4")
        np.testing.assert_array_equal(vector, np.array(expected[1], np.float32))
        named = await client.post("/v1/embeddings", json={"input": "米", "prompt_name": "query"})
        prefixed = await client.post("/embed", json={"inputs": "查询:米"})
        assert named.json()["data"][0]["embedding"] == prefixed.json()[0]
        models = (await client.get("/v1/models")).json()
        assert [model["id"] for model in models["data"]] == ["tiny-random"]

    play(create_app(settings, load(settings)), scenario)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"input": [[1, 2, 3]]}, 422, "token ids are those of another tokenizer"),
        ({"input": [1, 2]}, 422, "token ids are those of another tokenizer"),
        ({"input": []}, 422, '"input" is empty'),
        ({"input": " "}, 422, '"input"[0] is blank'),
        ({"inputs": "米"}, 422, 'expected an object with "input"'),
        ({"input": "米", "dimensions": 8}, 422, '"dimensions": only 32 is served'),
        ({"input": "米", "encoding_format": "hex"}, 422, '"encoding_format"'),
        ({"input": "米", "temperature": 1}, 422, "unknown keys: temperature"),
        ({"input": ["米"] * 257}, 413, "at most 256 at a time"),
    ],
)
def test_embeddings_refuse_in_openai_s_json(
    settings: Settings, body: dict[str, Any], status: int, says: str
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/embeddings", json=body)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert says in error["message"]
        assert (error["type"], error["param"]) == ("invalid_request_error", None)

    play(create_app(settings, load(settings)), scenario)


def test_tokenize_tells_the_tokens_and_their_places(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        (tokens,) = (await client.post("/tokenize", json={"inputs": "米 A"})).json()
        assert [(token["text"], token["special"], token["start"], token["stop"]) for token in tokens] == [
            ("[CLS]", True, None, None),
            ("米", False, 0, 1),
            ("a", False, 2, 3),
            ("[SEP]", True, None, None),
        ]
        body = {"inputs": ["米", "米米"], "add_special_tokens": False, "prompt_name": "document"}
        several = (await client.post("/tokenize", json=body)).json()
        assert [len(one) for one in several] == [4, 5]
        assert {token["id"] for token in several[0]} > {tokens[1]["id"]}
        refused = await client.post("/tokenize", json={"inputs": "米", "normalize": True})
        assert (refused.status_code, refused.json()["error_type"]) == (422, "validation")

    play(create_app(settings, load(settings)), scenario)


def test_pairs_are_not_ranked_by_a_model_that_gives_vectors(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/rerank", json={"query": "米", "texts": ["米"]})
        assert (answer.status_code, answer.json()["error_type"]) == (424, "backend")

    play(create_app(settings, load(settings)), scenario)


def test_tokenize_takes_so_many_characters_and_no_more(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        most = await client.post("/tokenize", json={"inputs": ["米" * 50_000] * 2})
        assert [len(tokens) for tokens in most.raise_for_status().json()] == [50_002] * 2
        refused = await client.post("/tokenize", json={"inputs": ["米" * 50_000, "米" * 50_001]})
        assert (refused.status_code, refused.json()["error_type"]) == (413, "validation")
        assert "100001 characters, at most 100000" in refused.json()["error"]

    play(create_app(settings, load(settings)), scenario)


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/embed", 405, "GET /embed: Method Not Allowed"),
        ("POST", "/embed/", 404, "POST /embed/: Not Found"),
        ("POST", "/" + "a" * 5000, 404, f"POST /{'a' * 99}: Not Found"),
        ("DELETE", "/info", 405, "DELETE /info: Method Not Allowed"),
    ],
)
def test_where_no_route_is_the_answer_is_json_too(
    settings: Settings, method: str, path: str, status: int, said: str
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert answer.json() == {"error": said, "error_type": "validation"}
        assert answer.headers[FINGERPRINT] == settings.identity.fingerprint()
        assert ("Allow" in answer.headers) == (status == 405)
        theirs = (await client.post("/v1/nothing")).json()
        assert theirs["error"]["message"] == "POST /v1/nothing: Not Found"
        assert theirs["error"]["type"] == "invalid_request_error"

    play(create_app(settings, load(settings)), scenario)


def test_a_defect_is_told_in_json_without_its_cause(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    app = create_app(settings, load(settings))

    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://encoder") as client,
        ):
            monkeypatch.setattr(app.state.service, "embed", defect)
            answer = await client.post("/embed", json={"inputs": "米"})
            assert answer.status_code == 500
            assert answer.json() == {"error": "the encoder failed to answer", "error_type": "backend"}

    asyncio.run(run())


def test_a_client_that_goes_half_way_is_counted_and_no_defect(settings: Settings) -> None:
    app = create_app(settings, load(settings))
    scope = {
        "type": "http", "method": "POST", "path": "/embed", "raw_path": b"/embed", "query_string": b"",
        "headers": [(b"content-length", b"100")], "http_version": "1.1", "scheme": "http", "root_path": "",
        "server": ("encoder", 80), "client": ("client", 1),
    }  # fmt: skip
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"inputs"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_message: object) -> None:
        """Nobody is there to read it."""

    async def run() -> None:
        async with serving(app) as client:
            await app(scope, receive, send)
            assert 'encoder_requests_total{status="499"} 1.0' in (await client.get("/metrics")).text

    asyncio.run(run())


def test_openapi_describes_what_is_read_by_hand(settings: Settings) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        paths = (await client.get("/openapi.json")).json()["paths"]
        texts = (("/embed", "inputs"), ("/", "inputs"), ("/v1/embeddings", "input"), ("/tokenize", "inputs"))
        for path, key in texts:
            post = paths[path]["post"]
            assert set(post["responses"]) >= {"200", "400", "408", "409", "413", "422", "431"}
            schema = post["requestBody"]["content"]["application/json"]["schema"]["properties"]
            assert schema[key]["oneOf"][1]["maxItems"] == MAX_CLIENT_BATCH_SIZE
            assert post["parameters"][0]["name"] == FINGERPRINT
        for path in ("/embed", "/", "/v1/embeddings"):
            assert set(paths[path]["post"]["responses"]) >= {"424", "429", "503"}
            assert paths[path]["post"]["parameters"][1]["name"] == TIMEOUT
        theirs = paths["/v1/embeddings"]["post"]["responses"]["422"]["content"]["application/json"]["schema"]
        assert theirs["properties"]["error"]["type"] == "object"
        assert set(paths["/health"]["get"]["responses"]) == {"200", "503"}
        assert "/rerank" in paths

    play(create_app(settings, load(settings)), scenario)


def test_openapi_describes_every_route(settings: Settings) -> None:
    app = create_app(settings, load(settings))
    described = {(method.upper(), path) for path, some in app.openapi()["paths"].items() for method in some}
    served = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route) and not route.path.startswith(("/docs", "/redoc", "/openapi.json"))
        for method in route.methods or ()
    }
    assert served - {("HEAD", path) for _, path in served} <= described
