"""The encoder's HTTP routes: text-embeddings-inference's, OpenAI's, and what Kubernetes and Prometheus ask for."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI, Request, Response

from search_plane.encoder import openai_api, openapi
from search_plane.encoder.direct import Direct, Work
from search_plane.encoder.embed_request import EmbedRequest, Refused, parse_embed
from search_plane.encoder.http_answers import EXPECTED, ErrorBody, as_json, refusal_of, tei_error
from search_plane.encoder.metrics import BatchMetrics, Metrics
from search_plane.encoder.reading import body_of, seconds_to_wait, unless_gone
from search_plane.encoder.service import Embedded, EncoderService, Loaded
from search_plane.encoder.settings import MAX_CLIENT_BATCH_SIZE, Settings
from search_plane.encoder.tokenize_request import parse_tokenize, tokenize_answer
from search_plane.release.embedding_wire import BINARY, FINGERPRINT_HEADER, asked_for, packed
from search_plane.reranker.rerank_request import parse_rerank, rerank_answer
from search_plane.tracing import TELEMETRY, Traced

R = TypeVar("R", bound=EmbedRequest)


def create_app(settings: Settings, loaded: Loaded, metrics: Metrics | None = None) -> FastAPI:
    """The application; `app.state.service` is its EncoderService from start-up on."""
    counted = metrics or Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = EncoderService(settings, loaded, counted)
        app.state.service = service
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Encoder", version=_version(), lifespan=lifespan, redirect_slashes=False, telemetry=TELEMETRY
    )
    headers = {FINGERPRINT_HEADER: settings.identity.fingerprint()}
    as_json(app, headers)
    works: dict[str, Work] = {}
    app.add_middleware(Direct, works=works)
    app.add_middleware(Traced)

    def answer(content: Any, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
        body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, status, {**headers, **(more or {})}, "application/json")

    def guarded(work: Work, error_body: ErrorBody) -> Work:
        async def handle(request: Request) -> Response:
            try:
                return await work(request)
            except EXPECTED as error:
                refused, more = refusal_of(error)
                return answer(error_body(refused), refused.status, more)

        handle.__doc__ = work.__doc__
        return handle

    def measured(work: Work, told: BatchMetrics = counted) -> Work:
        async def handle(request: Request) -> Response:
            started = time.perf_counter()
            response = await work(request)
            told.requests.labels(str(response.status_code)).inc()
            told.request_seconds.observe(time.perf_counter() - started)
            return response

        handle.__doc__ = work.__doc__
        return handle

    def post(path: str, work: Work, described: dict[str, Any]) -> None:
        works[path] = work
        # Documents it, and refuses other methods.
        app.post(path, openapi_extra=described, operation_id=path.strip("/").replace("/", "_") or "root")(
            work
        )

    async def embed(request: Request) -> Response:
        """Vectors of the texts, in their order: JSON, or bytes where the Accept header asks for them."""
        service: EncoderService = app.state.service
        _, embedded = await _embedded(
            service, request, lambda body: parse_embed(body, service.identity.dimension)
        )
        form = asked_for(request.headers.get("accept", ""))
        if form is None:
            return answer(embedded.vectors)
        return Response(packed(embedded.vectors, form), 200, headers, f"{BINARY};dtype={form}")

    async def embeddings(request: Request) -> Response:
        """Vectors of the texts as OpenAI's API gives them."""
        service: EncoderService = app.state.service
        asked, embedded = await _embedded(
            service, request, lambda body: openai_api.parse_embeddings(body, service.identity.dimension)
        )
        model, form = service.identity.model, asked.encoding_format
        return answer(openai_api.embeddings_answer(embedded.vectors, embedded.tokens, model, form))

    async def tokenize(request: Request) -> Response:
        """The tokens of the texts."""
        service: EncoderService = app.state.service
        _check_fingerprint(service, request)
        tokens = await service.tokenize(parse_tokenize(await body_of(request)))
        # So many small objects take long enough to hold up queries.
        return await asyncio.to_thread(lambda: answer(tokenize_answer(tokens)))

    async def rerank(request: Request) -> Response:
        """The texts by how well each answers the query, best first."""
        reranker = app.state.service.reranker
        if reranker is None:
            raise Refused(424, "no re-ranker is served here", "backend")
        within = seconds_to_wait(request)
        reranker.check_room(within)
        asked = parse_rerank(await body_of(request))
        scored = await unless_gone(
            lambda on_disconnect: reranker.score(asked, within=within, on_disconnect=on_disconnect), request
        )
        return answer(rerank_answer(asked, scored.scores))

    post("/embed", measured(guarded(embed, tei_error)), openapi.EMBED)
    # Where huggingface_hub's InferenceClient asks a server that is named by its address.
    post("/", measured(guarded(embed, tei_error)), openapi.EMBED)
    post("/v1/embeddings", measured(guarded(embeddings, openai_api.error_answer)), openapi.EMBEDDINGS)
    post("/rerank", measured(guarded(rerank, tei_error), counted.reranking), openapi.RERANK)
    post("/tokenize", guarded(tokenize, tei_error), openapi.TOKENIZE)

    @app.get("/v1/models")
    async def models() -> Response:
        """The one model, for OpenAI's clients."""
        return answer(openai_api.models_answer(settings.identity.model))

    @app.get("/info")
    async def info() -> Response:
        """What is served, in TEI's keys and ours."""
        return answer(_info(app.state.service))

    @app.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return answer({"status": "alive"})

    @app.get("/health", responses=openapi.NOT_READY)
    @app.get("/readyz", responses=openapi.NOT_READY)
    async def readyz() -> Response:
        """Whether the probe vectors are right."""
        reason = app.state.service.not_ready()
        if reason is None:
            return answer({"status": "ready"})
        return answer({"status": "not ready", "error": reason, "error_type": "unhealthy"}, 503)

    @app.get("/metrics")
    async def exposition() -> Response:
        """Prometheus text."""
        return Response(counted.exposition(), headers=headers, media_type=counted.content_type)

    return app


async def _embedded(
    service: EncoderService, request: Request, parse: Callable[[bytes], R]
) -> tuple[R, Embedded]:
    _check_fingerprint(service, request)
    within = seconds_to_wait(request)
    service.check_room(within)
    asked = parse(await body_of(request))
    return asked, await unless_gone(
        lambda on_disconnect: service.embed(asked, within=within, on_disconnect=on_disconnect), request
    )


def _check_fingerprint(service: EncoderService, request: Request) -> None:
    asked = request.headers.get(FINGERPRINT_HEADER)
    if asked is not None and asked != service.fingerprint:
        raise Refused(
            409,
            "this encoder serves another fingerprint",
            "fingerprint_mismatch",
            serves=service.fingerprint,
            asked=asked,
        )


def _info(service: EncoderService) -> dict[str, Any]:
    identity, settings = service.identity, service.settings
    return {
        "model_id": identity.model,
        "model_sha": identity.revision,
        "model_dtype": {"fp32": "float32", "fp16": "float16", "int8": "int8"}[identity.precision],
        "model_type": {"embedding": {"pooling": identity.pooling}},
        # The limit counts tokens; the shortest text has three.
        "max_concurrent_requests": settings.max_queue_tokens // 3,
        "max_input_length": identity.max_tokens,
        "max_batch_tokens": settings.max_batch_tokens,
        "max_batch_requests": settings.max_batch_size,
        "max_client_batch_size": MAX_CLIENT_BATCH_SIZE,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": _version(),
        "sha": None,
        "docker_label": None,
        "fingerprint": service.fingerprint,
        "dimension": identity.dimension,
        "artefact": f"artefact:sha256:{service.loaded.artefact.digest}",
        "identity": identity.model_dump(),
        "device": service.loaded.device,
        "lanes": service.loaded.runtime.lanes,
        "reranker": _reranker_info(service),
    }


def _reranker_info(service: EncoderService) -> dict[str, Any] | None:
    if service.reranker is None:
        return None
    artefact = service.reranker.loaded.artefact
    return {
        "model_id": artefact.manifest.model,
        "model_sha": artefact.manifest.revision,
        "artefact": f"artefact:sha256:{artefact.digest}",
        "max_input_length": artefact.manifest.max_tokens,
        "not_ready": service.reranker.not_ready(),
    }


def _version() -> str:
    try:
        return version("semantic-search-operator")
    except PackageNotFoundError:
        return "0.1.0"
