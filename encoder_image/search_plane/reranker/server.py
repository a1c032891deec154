"""A re-ranker alone: `/rerank` and what Kubernetes and Prometheus ask for, in pods that hold no encoder."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from search_plane.encoder import openapi
from search_plane.encoder.artefact import ArtefactError
from search_plane.encoder.batching import Batcher
from search_plane.encoder.http_answers import EXPECTED, as_json, refusal_of, tei_error
from search_plane.encoder.metrics import BatchMetrics
from search_plane.encoder.reading import body_of, seconds_to_wait, unless_gone
from search_plane.encoder.server import EXIT_REFUSED, log_json, serve
from search_plane.encoder.session import SessionError
from search_plane.encoder.settings import Device, SettingsError, available_cores, device_in, number_in
from search_plane.reranker.rerank_request import parse_rerank, rerank_answer
from search_plane.reranker.service import LoadedReranker, RerankService, load, served
from search_plane.tracing import TELEMETRY, Traced, export_spans

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Settings of one re-ranker process, by the names that an encoder with one beside it has for them too."""

    reranker_dir: Path
    reranker_weights: str = ""
    host: str = "0.0.0.0"  # noqa: S104  a pod's server answers on every address of the pod
    port: int = 8080
    threads: int = 1
    device: Device = "auto"
    max_batch_tokens: int = 1024
    max_batch_size: int = 32
    max_rerank_tokens: int = 12800
    probe_seconds: float = 10.0
    drain_seconds: float = 3.0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises SettingsError naming the variable that is missing or wrong."""
        if not env.get("RERANKER_DIR"):
            raise SettingsError("RERANKER_DIR: expected the folder of a re-ranker's artefact, found nothing")
        return cls(
            reranker_dir=Path(env["RERANKER_DIR"]),
            reranker_weights=env.get("RERANKER_WEIGHTS", ""),
            host=env.get("HOST") or cls.host,
            port=int(number_in(env, "PORT", cls.port, least=0)),
            threads=int(number_in(env, "THREADS", available_cores(), least=1)),
            device=device_in(env),
            max_batch_tokens=int(number_in(env, "MAX_BATCH_TOKENS", cls.max_batch_tokens, least=1)),
            max_batch_size=int(number_in(env, "MAX_BATCH_SIZE", cls.max_batch_size, least=1)),
            max_rerank_tokens=int(number_in(env, "MAX_RERANK_TOKENS", cls.max_rerank_tokens, least=1)),
            probe_seconds=number_in(env, "PROBE_SECONDS", cls.probe_seconds, least=0.01),
            drain_seconds=number_in(env, "DRAIN_SECONDS", cls.drain_seconds, least=0),
        )


class Alone:
    """The cross-encoder with lanes of its own. Made inside a running event loop."""

    def __init__(self, settings: Settings, loaded: LoadedReranker, metrics: BatchMetrics) -> None:
        self.draining = False
        self._batcher = Batcher(served(loaded, settings, metrics))
        self.reranker = RerankService(loaded, self._batcher, settings.probe_seconds, metrics)

    def not_ready(self) -> str | None:
        """Why no traffic should come here; None when it should."""
        return "the re-ranker is stopping" if self.draining else self.reranker.not_ready()

    async def stop(self) -> None:
        """End the probes and let go of the threads."""
        await self.reranker.stop()
        self._batcher.close()


def create_app(settings: Settings, loaded: LoadedReranker) -> FastAPI:
    """The application; `app.state.service` is its Alone from start-up on."""
    registry = CollectorRegistry()
    metrics = BatchMetrics("reranker", registry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = Alone(settings, loaded, metrics)
        app.state.service = service
        await service.reranker.start()
        yield
        await service.stop()

    app = FastAPI(title="Re-ranker", lifespan=lifespan, redirect_slashes=False, telemetry=TELEMETRY)
    as_json(app, {})
    app.add_middleware(Traced)

    @app.post("/rerank", openapi_extra=openapi.RERANK)
    async def rerank(request: Request) -> Response:
        """The texts by how well each answers the query, best first."""
        started = time.perf_counter()
        reranker: RerankService = app.state.service.reranker
        try:
            within = seconds_to_wait(request)
            reranker.check_room(within)
            asked = parse_rerank(await body_of(request))
            scored = await unless_gone(
                lambda gone: reranker.score(asked, within=within, on_disconnect=gone), request
            )
            response = _answer(rerank_answer(asked, scored.scores))
        except EXPECTED as error:
            refused, more = refusal_of(error)
            response = _answer(tei_error(refused), refused.status, more)
        metrics.requests.labels(str(response.status_code)).inc()
        metrics.request_seconds.observe(time.perf_counter() - started)
        return response

    @app.get("/info")
    async def info() -> Response:
        """What is served."""
        manifest = loaded.artefact.manifest
        return _answer(
            {
                "model_id": manifest.model,
                "model_sha": manifest.revision,
                "max_input_length": manifest.max_tokens,
                "artefact": f"artefact:sha256:{loaded.artefact.digest}",
            }
        )

    @app.get("/healthz")
    async def healthz() -> Response:
        """The process answers."""
        return _answer({"status": "alive"})

    @app.get("/readyz", responses=openapi.NOT_READY)
    async def readyz() -> Response:
        """Whether the probes' scores are right."""
        reason = app.state.service.not_ready()
        if reason is None:
            return _answer({"status": "ready"})
        return _answer({"status": "not ready", "error": reason, "error_type": "unhealthy"}, 503)

    @app.get("/metrics")
    async def exposition() -> Response:
        """Prometheus text."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


def main() -> int:
    """Run the re-ranker from the environment. Exit code 0 after a drain, 2 when it refuses to start."""
    log_json()
    # As process 1 of a container nothing ends it but what it handles itself, also while it loads.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The tokenizer's own thread pool would take the cores from the lanes.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        settings = Settings.from_env(os.environ)
        loaded = load(settings)
        assert loaded is not None, "the settings name an artefact"
    except (SettingsError, ArtefactError, SessionError) as error:
        log.error("refused to start: %s", error)
        return EXIT_REFUSED
    export_spans("reranker", os.environ)
    log.info("loaded", extra={"artefact": loaded.artefact.digest, "lanes": loaded.runtime.lanes})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        app = create_app(settings, loaded)
        runner.run(serve(app, settings.host, settings.port, settings.drain_seconds))
    return 0


def _answer(content: Any, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, dict(more or {}), "application/json")
