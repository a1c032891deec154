"""Around every request: its id, its metrics, and `Connection: close` while the gateway is leaving."""

import re
import uuid
from contextvars import ContextVar
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_plane.gateway.metrics import GatewayMetrics

REQUEST_ID_HEADER = "X-Request-Id"
request_id: ContextVar[str] = ContextVar("request_id", default="-")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ROUTES = frozenset(
    {"/", "/search", "/click", "/release", "/healthz", "/readyz", "/metrics", "/openapi.json"}
)
_PAGE_FILES = "/page/{name}"


class Leaving:
    """Whether the gateway was told to stop; set once, by the server's signal handler."""

    def __init__(self) -> None:
        self.draining = False


def route_of(path: str) -> str:
    """A path's name in metrics, the route's as in traces; `other` for all that nobody serves."""
    if path in _ROUTES:
        return path
    return _PAGE_FILES if path.startswith("/page/") and path.count("/") == 2 else "other"


class AroundRequests:
    """ASGI middleware. A caller's own request id is kept when it is plain text of up to 64 characters."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics, leaving: Leaving) -> None:
        self._app = app
        self._metrics = metrics
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        identifier = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        request_id.set(identifier)
        route = route_of(scope["path"])
        started = perf_counter()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = identifier
                # Kept connections would outlive the Service's knowledge of this pod.
                if self._leaving.draining:
                    headers["Connection"] = "close"
            await send(message)

        with self._metrics.inflight.track_inprogress():
            try:
                await self._app(scope, receive, send_marked)
            finally:
                self._metrics.requests.labels(route, str(status)).inc()
                self._metrics.seconds.labels(route).observe(perf_counter() - started)
