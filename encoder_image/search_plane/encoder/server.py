"""The encoder's HTTP routes and its process: start, serve, drain."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from pythonjsonlogger.json import JsonFormatter

from search_plane.encoder.artefact import ArtefactError
from search_plane.encoder.batching import InferenceFailed, Job, Overloaded
from search_plane.encoder.embed_request import EmbedRequest, Refused, invalid, parse_embed, too_large
from search_plane.encoder.metrics import Metrics
from search_plane.encoder.openapi import EMBED_OPENAPI
from search_plane.encoder.service import EncoderService, Loaded, load
from search_plane.encoder.session import SessionError
from search_plane.encoder.settings import (
    MAX_BODY_BYTES,
    MAX_CLIENT_BATCH_SIZE,
    Settings,
    SettingsError,
)

FINGERPRINT_HEADER = "X-Encoder-Fingerprint"
EXIT_REFUSED = 2
# A client that has gone gets no answer; this status is only counted (nginx's code for it).
CLIENT_GONE = 499

log = logging.getLogger(__name__)


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


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

    app = FastAPI(title="Encoder", version=_version(), lifespan=lifespan)
    headers = {FINGERPRINT_HEADER: settings.identity.fingerprint()}

    def answer(content: Any, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
        body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, status, {**headers, **(more or {})}, "application/json")

    async def embed(request: Request) -> Response:
        """Vectors of the texts, in their order."""
        started = time.perf_counter()
        try:
            response = answer(await _vectors(app.state.service, request))
        except Refused as error:
            response = answer(error.body, error.status)
        except Overloaded as error:
            body = {"error": f"Model is overloaded: {error}", "error_type": "overloaded"}
            response = answer(body, 429, {"Retry-After": str(error.retry_after)})
        except InferenceFailed as error:
            response = answer({"error": str(error), "error_type": "backend"}, 424)
        except ClientGone:
            response = answer({"error": "the client has gone", "error_type": "validation"}, CLIENT_GONE)
        counted.requests.labels(str(response.status_code)).inc()
        counted.request_seconds.observe(time.perf_counter() - started)
        return response

    # The hot path is a plain route, which costs a quarter less than FastAPI's; that one, second, only documents it.
    app.add_route("/embed", embed, methods=["POST"])
    app.post("/embed", openapi_extra=EMBED_OPENAPI)(embed)

    @app.get("/info")
    async def info() -> Response:
        """What is served, in TEI's keys and ours."""
        return answer(_info(app.state.service))

    @app.get("/health")
    @app.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return answer({"status": "alive"})

    @app.get("/readyz")
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


async def _vectors(service: EncoderService, request: Request) -> Any:
    asked = request.headers.get(FINGERPRINT_HEADER)
    if asked is not None and asked != service.fingerprint:
        raise Refused(
            409,
            "this encoder serves another fingerprint",
            "fingerprint_mismatch",
            serves=service.fingerprint,
            asked=asked,
        )
    parsed: EmbedRequest = parse_embed(await _body(request), service.identity.dimension)

    async def cancel_when_gone(job: Job) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue
        job.cancel()

    try:
        return await service.vectors(parsed, cancel_when_gone)
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise ClientGone from None


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if not length.isdigit():
        raise invalid("Content-Length is not a number")
    if int(length) > MAX_BODY_BYTES:
        raise too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large()
    return bytes(body)


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
        "lanes": service.loaded.runtime.lanes,
    }


class EncoderServer(uvicorn.Server):
    """Uvicorn that turns unready first, then stops accepting, then finishes what it has."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Our handlers instead of uvicorn's, which end the process by the signal again after the drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.begin_drain)
        yield

    def begin_drain(self) -> None:
        """What SIGTERM does; a second one changes nothing."""
        service: EncoderService | None = getattr(self._app.state, "service", None)
        if service is None:
            self.should_exit = True
            return
        if service.draining:
            return
        service.draining = True
        log.info("draining", extra={"accepting_for_seconds": self._drain_seconds})
        asyncio.get_running_loop().call_later(self._drain_seconds, setattr, self, "should_exit", True)


async def serve(settings: Settings, loaded: Loaded) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    app = create_app(settings, loaded)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
    )
    await EncoderServer(config, app, settings.drain_seconds).serve()


def main() -> int:
    """Run the encoder from the environment. Exit code 0 after a drain, 2 when it refuses to start."""
    _log_json()
    # As process 1 of a container nothing ends it but what it handles itself, also while it loads.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The tokenizer's own thread pool would take the cores from the lanes.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    started = time.perf_counter()
    try:
        settings = Settings.from_env(os.environ)
        loaded = load(settings)
    except (SettingsError, ArtefactError, SessionError) as error:
        log.error("refused to start: %s", error)
        return EXIT_REFUSED
    log.info(
        "loaded",
        extra={
            "fingerprint": settings.identity.fingerprint(),
            "artefact": loaded.artefact.digest,
            "lanes": loaded.runtime.lanes,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, loaded))
    return 0


def _log_json() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s", timestamp=True, rename_fields={"levelname": "level"}
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _version() -> str:
    try:
        return version("semantic-search-operator")
    except PackageNotFoundError:
        return "0.1.0"
