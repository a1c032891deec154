"""The gateway's HTTP server: routes, errors as JSON, probes, and an orderly end."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from pythonjsonlogger.json import JsonFormatter
from starlette.background import BackgroundTask

from search_plane.gateway.answer import ANSWER_EXAMPLE, Answer, Readiness
from search_plane.gateway.asgi import AroundRequests, Leaving, request_id
from search_plane.gateway.asking import described, read
from search_plane.gateway.clicks import add_clicks
from search_plane.gateway.draining import DrainingServer
from search_plane.gateway.faults import BadQuery, Unavailable, turned_away
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.page.routes import add_page
from search_plane.gateway.problems import PROBLEMS, add_problems, as_json
from search_plane.gateway.reranking import PolicyReranker
from search_plane.gateway.search import Means, Outcome, search
from search_plane.gateway.search_log_sinks import LogSettings, search_log
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.settings import Settings
from search_plane.gateway.sides import Patience
from search_plane.gateway.switch import ReleaseSwitch
from search_plane.gateway.traffic import Traffic
from search_plane.release.gateway_state import GatewayState
from search_plane.release.record import CatalogueTarget
from search_plane.tracing import TELEMETRY, Traced, TraceIds, export_spans

log = logging.getLogger(__name__)


def create_app(
    settings: Settings, leaving: Leaving | None = None, log_settings: LogSettings | None = None
) -> FastAPI:
    """The application. `leaving.draining` turns /readyz to 503 and closes kept connections."""
    leaving = leaving or Leaving()
    metrics = GatewayMetrics()
    state = _State(settings, metrics, leaving, log_settings or LogSettings())
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
    add_problems(app, metrics)
    _add_search(app, state)
    add_clicks(app, state.search_log)
    _add_probes(app, state)
    add_page(app)
    return app


class _State:
    """What the routes share: the switch and the task that follows the release file."""

    def __init__(
        self, settings: Settings, metrics: GatewayMetrics, leaving: Leaving, log_settings: LogSettings
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.leaving = leaving
        self.traffic = Traffic()
        self.reranker = PolicyReranker(
            lambda: self.switch.policy_file.latest.policy.reranker, metrics.reranking
        )
        self.search_log = search_log(log_settings, self._catalogue, metrics.registry)
        self.means = Means(
            Patience(
                settings.total_timeout_ms / 1000,
                settings.keywords_after_ms / 1000 or None,
                settings.semantic_wait_ms / 1000,
                settings.es_timeout_ms / 1000,
            ),
            metrics,
            lambda: self.switch.policy_file.latest,
            self.reranker,
        )
        self._switch: ReleaseSwitch | None = None
        self._following: asyncio.Task[None] | None = None
        self._last_catalogue: CatalogueTarget | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Follows the release file while the server runs."""
        self._switch = ReleaseSwitch(self.settings, self.metrics)
        self._following = asyncio.create_task(self._switch.follow())
        logging_searches = asyncio.create_task(self.search_log.run())
        try:
            yield
        finally:
            for task in (self._following, logging_searches):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            # The log's last lines may have to go to the catalogue of the release in use.
            await self.search_log.close()
            await self._switch.close()
            await self.reranker.close()

    def _catalogue(self) -> CatalogueTarget | None:
        """The catalogue in use, or that was; None before the first release."""
        if (current := self.switch.current) is not None:
            self._last_catalogue = current.snapshot.catalogue
        return self._last_catalogue

    async def note(self, outcome: Outcome) -> None:
        """The search log's line of an answer."""
        answer, query = outcome.answer, outcome.query
        self.search_log.exposure(
            answer,
            query.key or None,
            search_id=answer.search_id,
            mode=answer.mode,
            # What the caller chose the arm did not decide.
            assignment=outcome.assignment if query.mode is None else None,
            offset=query.offset,
            filtered=bool(query.filters),
            reranked=answer.reranked,
            cohort=outcome.cohort,
            policy=answer.policy,
        )

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
        responses={200: {"content": {"application/json": {"example": ANSWER_EXAMPLE}}}, **PROBLEMS},
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
        response = as_json(answer)
        if state.search_log.takes:
            # Sent first: no answer waits for its line in the log.
            response.background = BackgroundTask(state.note, outcome)
        return response

    @app.get("/release", response_model=GatewayState, summary="The release in use, the next, and its traffic")
    async def release_state() -> Response:
        return as_json(state.switch.state(state.leaving.draining, state.traffic.window()))


def _add_probes(app: FastAPI, state: _State) -> None:
    @app.get("/healthz", summary="Whether this process works")
    async def healthz() -> Response:
        return Response(
            "ok" if state.alive else "the release file is no longer followed", 200 if state.alive else 503
        )

    @app.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}}, summary="Readiness")
    async def readyz() -> Response:
        readiness = state.readiness()
        return as_json(readiness, 200 if readiness.ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        state.readiness()
        state.switch.show()
        state.metrics.tasks.set(len(asyncio.all_tasks()))
        return Response(state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def log_as_json() -> None:
    """All logs as JSON lines on stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", json_ensure_ascii=False)
    )
    handler.addFilter(TraceIds())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _wrong_environment(error: ValidationError, prefix: str) -> int:
    for wrong in error.errors(include_url=False, include_input=False):
        name = prefix + str(wrong["loc"][0] if wrong["loc"] else "").upper()
        log.error("environment variable %s: %s", name, wrong["msg"])
    return 2


def main() -> int:
    """Runs the gateway until it is told to stop. Exit code 0, or 2 when its environment is wrong."""
    log_as_json()
    try:
        settings = Settings.from_environment(os.environ)
    except ValidationError as error:
        return _wrong_environment(error, "")
    try:
        log_settings = LogSettings.from_environment(os.environ)
    except ValidationError as error:
        return _wrong_environment(error, "SEARCH_LOG_")
    export_spans("gateway", os.environ)
    leaving = Leaving()
    config = uvicorn.Config(
        create_app(settings, leaving, log_settings),
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
