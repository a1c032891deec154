"""The gateway's HTTP server: routes, errors as JSON, probes, and an orderly end."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ValidationError
from pythonjsonlogger.json import JsonFormatter
from starlette.exceptions import HTTPException

from search_plane.gateway.answer import ANSWER_EXAMPLE, Answer, Problem, Readiness
from search_plane.gateway.asgi import AroundRequests, Leaving, request_id
from search_plane.gateway.asking import described, read
from search_plane.gateway.faults import BadQuery, Unavailable, turned_away
from search_plane.gateway.hooks import NoReranker
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.search import Means, search
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.settings import Settings
from search_plane.gateway.sides import Patience
from search_plane.gateway.switch import ReleaseSwitch
from search_plane.gateway.traffic import Traffic
from search_plane.release.gateway_state import GatewayState
from search_plane.tracing import TELEMETRY, Traced, TraceIds, export_spans

log = logging.getLogger(__name__)

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": Problem,
        "description": "A bad parameter; `field` names it, `error` says what to send instead.",
        "content": {
            "application/json": {"example": {"error": "k must be between 1 and 100, it is 0", "field": "k"}}
        },
    },
    503: {
        "model": Problem,
        "description": "No release yet, or neither its encoder and Milvus nor the catalogue answer. See `Retry-After`.",
        "content": {
            "application/json": {
                "example": {"error": "the encoder did not answer in time", "field": "encoder"}
            }
        },
    },
}


def _json(content: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(content.model_dump_json(), status, headers, media_type="application/json")


def create_app(settings: Settings, leaving: Leaving | None = None) -> FastAPI:
    """The application. `leaving.draining` turns /readyz to 503 and closes kept connections."""
    leaving = leaving or Leaving()
    metrics = GatewayMetrics()
    state = _State(settings, metrics, leaving)
    app = FastAPI(
        title="Semantic product search",
        version="0.1.0",
        description="Finds products by meaning and words; price and stock are the catalogue's at that moment.",
        docs_url=None,
        redoc_url=None,
        lifespan=state.lifespan,
        telemetry=TELEMETRY,
    )
    app.add_middleware(AroundRequests, metrics=metrics, leaving=leaving)
    # Outermost: the last that is added.
    app.add_middleware(Traced)
    _add_problems(app, metrics)
    _add_search(app, state)
    _add_probes(app, state)
    return app


class _State:
    """What the routes share: the switch and the task that follows the release file."""

    def __init__(self, settings: Settings, metrics: GatewayMetrics, leaving: Leaving) -> None:
        self.settings = settings
        self.metrics = metrics
        self.leaving = leaving
        self.traffic = Traffic()
        self.means = Means(
            Patience(
                settings.total_timeout_ms / 1000,
                settings.keywords_after_ms / 1000 or None,
                settings.semantic_wait_ms / 1000,
            ),
            metrics,
            lambda: self.switch.policy_file.latest,
            NoReranker(),
        )
        self._switch: ReleaseSwitch | None = None
        self._following: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Follows the release file while the server runs."""
        self._switch = ReleaseSwitch(self.settings, self.metrics)
        self._following = asyncio.create_task(self._switch.follow())
        try:
            yield
        finally:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
            await self._switch.close()

    @property
    def alive(self) -> bool:
        """False once the release file is no longer followed: only a new process would heal that."""
        return self._following is not None and not self._following.done() and self.switch.alive

    @property
    def switch(self) -> ReleaseSwitch:
        """The switch; there is one while the server runs."""
        assert self._switch is not None
        return self._switch

    def current(self) -> ReleasePath:
        """The release in use, or Unavailable."""
        path = self.switch.current
        if path is None:
            raise Unavailable("release", "absent", "there is no release yet", retry_after=5)
        return path

    def readiness(self) -> Readiness:
        """What /readyz says."""
        switch = self.switch
        current = switch.current
        waiting_for = (
            dict(current.waiting_for) if current else {"release": switch.file_error or "not read yet"}
        )
        ready = not waiting_for and not self.leaving.draining
        self.metrics.ready.set(ready)
        return Readiness(
            ready=ready,
            release=current.snapshot.release if current else None,
            waiting_for=waiting_for,
            pending=switch.pending.snapshot.release if switch.pending else None,
            release_file=switch.file_error,
            draining=self.leaving.draining,
        )


def _add_search(app: FastAPI, state: _State) -> None:
    # Its parameters are read by hand, and the answer is not built twice.
    @app.get(
        "/search",
        response_model=Answer,
        responses={200: {"content": {"application/json": {"example": ANSWER_EXAMPLE}}}, **_PROBLEMS},
        summary="Search products by meaning and words",
        openapi_extra={"parameters": described()},
    )
    async def search_products(request: Request) -> Response:
        asked = read(request.query_params.multi_items(), request.headers)
        # One path object per query: a switch in between can't mix two releases.
        path = state.current()
        try:
            with path.in_use():
                outcome = await search(path, asked, state.means, request_id.get())
        except BadQuery:
            raise
        except Exception as error:
            if not (isinstance(error, Unavailable) and turned_away(error)):
                state.traffic.failed(path.snapshot.release)
            raise
        answer = outcome.answer
        if outcome.release_failed:
            # The caller got something, the release did not answer: whoever judges the release must see that.
            state.traffic.failed(answer.release)
        elif outcome.release_asked:
            state.traffic.answered(answer.release, answer.timings_ms.total, answer.total)
        return _json(answer)

    @app.get("/release", response_model=GatewayState, summary="The release in use, the next, and its traffic")
    async def release_state() -> Response:
        return _json(state.switch.state(state.leaving.draining, state.traffic.window()))


def _add_probes(app: FastAPI, state: _State) -> None:
    @app.get("/healthz", summary="Whether this process works")
    async def healthz() -> Response:
        return Response(
            "ok" if state.alive else "the release file is no longer followed", 200 if state.alive else 503
        )

    @app.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}}, summary="Readiness")
    async def readyz() -> Response:
        readiness = state.readiness()
        return _json(readiness, 200 if readiness.ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        state.readiness()
        current = state.switch.current
        state.metrics.tasks.set(len(asyncio.all_tasks()))
        state.metrics.breakers.show(current.guards if current else None)
        return Response(state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_problems(app: FastAPI, metrics: GatewayMetrics) -> None:
    @app.exception_handler(BadQuery)
    async def bad_query(_request: Request, error: BadQuery) -> Response:
        return _json(Problem(error=str(error), field=error.field), 400)

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        return _json(Problem(error=f"{field}: {first['msg']}", field=field), 400)

    @app.exception_handler(Unavailable)
    async def unavailable(_request: Request, fault: Unavailable) -> Response:
        metrics.failed(fault)
        log.warning(
            "no answer: %s",
            fault,
            extra={"part": fault.dependency, "reason": fault.reason, "request_id": request_id.get()},
        )
        return _json(
            Problem(error=str(fault), field=fault.dependency), 503, {"Retry-After": str(fault.retry_after)}
        )

    @app.exception_handler(HTTPException)
    async def no_such_route(_request: Request, error: HTTPException) -> Response:
        return _json(Problem(error=str(error.detail), field="path"), error.status_code)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> Response:
        # The cause goes to the log (the server writes it), never to the caller.
        return _json(Problem(error="the gateway failed to answer", field="gateway"), 500)


class DrainingServer(uvicorn.Server):
    """Ends in order on SIGTERM: says so on /readyz and serves on, finishes what is in flight, returns.

    SIGINT, or a second signal, skips the first part.
    """

    def __init__(self, config: uvicorn.Config, leaving: Leaving, drain_seconds: float) -> None:
        super().__init__(config)
        self._leaving = leaving
        self._drain_seconds = drain_seconds
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signal handler. The parent's would end the process by the signal instead of exit code 0."""
        if sig == signal.SIGINT or self._leaving.draining:
            self.should_exit = True
        self._leaving.draining = True
        self._leave_at = time.monotonic() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop now; called ten times a second."""
        left = self._leave_at is not None and time.monotonic() >= self._leave_at
        return await super().on_tick(counter) or left


def log_as_json() -> None:
    """All logs as JSON lines on stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", json_ensure_ascii=False)
    )
    handler.addFilter(TraceIds())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def main() -> int:
    """Runs the gateway until it is told to stop. Exit code 0, or 2 when its environment is wrong."""
    log_as_json()
    try:
        settings = Settings.from_environment(os.environ)
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            log.error("environment variable %s: %s", str(wrong["loc"][0]).upper(), wrong["msg"])
        return 2
    export_spans("gateway", os.environ)
    leaving = Leaving()
    config = uvicorn.Config(
        create_app(settings, leaving),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        # Else a pipelined request would begin in the trace of the one before it.
        reset_contextvars=True,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )
    DrainingServer(config, leaving, settings.drain_seconds).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
