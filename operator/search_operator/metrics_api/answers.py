"""What is answered to whom: the routes of the API, apart from sockets and certificates."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from search_operator.metrics_api import wire
from search_operator.metrics_api.callers import Trust
from search_operator.metrics_api.readings import EncoderPod, Encoders, Silence, encoder_pods
from search_operator.metrics_api.selector import parsed
from search_operator.metrics_api.wire import METRIC, Refusal
from search_operator.run import metrics

log = logging.getLogger(__name__)

PodsOf = Callable[[str], Iterable[Mapping[str, Any]]]
"""The known pods of a namespace."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_TOLD_SILENCES = 3


def application(pods_of: PodsOf, encoders: Encoders, trust: Callable[[], Trust]) -> web.Application:
    """The API. `trust` is asked at each request, so that what it says may change."""

    async def discovery(_: web.Request) -> web.Response:
        return web.json_response(wire.resource_list())

    async def values(request: web.Request) -> web.Response:
        namespace, name, metric = (request.match_info[part] for part in ("namespace", "name", "metric"))
        if metric != METRIC:
            raise Refusal(404, "NotFound", f"there is no metric {metric} of pods here, only {METRIC}")
        if labels := request.query.get("metricLabelSelector"):
            raise Refusal(404, "NotFound", f"{METRIC} has no labels, so no series with {labels}")
        pods = selected(
            encoder_pods(pods_of(namespace)), namespace, name, request.query.get("labelSelector", "")
        )
        readings, silences = await encoders.read(pods)
        metrics.METRICS_API_SILENT.inc(len(silences))
        if not readings:
            raise Refusal(503, "ServiceUnavailable", no_answer(silences))
        return web.json_response(wire.metric_values(readings))

    app = web.Application(middlewares=[_refusing(trust)])
    app.router.add_get(f"/apis/{wire.GROUP_VERSION}", discovery)
    app.router.add_get(
        f"/apis/{wire.GROUP_VERSION}/namespaces/{{namespace}}/pods/{{name}}/{{metric}}", values
    )
    return app


def selected(pods: Iterable[EncoderPod], namespace: str, name: str, selector: str) -> tuple[EncoderPod, ...]:
    """The encoder pod of that name, or with `*` all that the selector takes. Refusal when there is none."""
    try:
        takes = parsed(selector)
    except ValueError as error:
        raise Refusal(400, "BadRequest", str(error)) from None
    found = tuple(pod for pod in pods if name in ("*", pod.name) and takes(pod.labels))
    if found:
        return found
    which = f"called {name}" if name != "*" else f"with the labels {selector}" if selector else "at all"
    raise Refusal(404, "NotFound", f"no encoder pod {which} runs in namespace {namespace}")


def no_answer(silences: list[Silence]) -> str:
    """Why there is no value, by the first pods."""
    told = "; ".join(f"{each.pod}: {each.why}" for each in silences[:_TOLD_SILENCES])
    more = len(silences) - _TOLD_SILENCES
    return f"none of {len(silences)} encoder pods tells its {METRIC}: {told}" + (
        f"; and {more} more" if more > 0 else ""
    )


def _refusing(trust: Callable[[], Trust]) -> Any:
    """Lets the API server in alone, and tells every refusal as a `Status`."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _admit(request, trust())
            answer = await handler(request)
        except Refusal as refusal:
            answer = _told(refusal)
        except web.HTTPMethodNotAllowed:
            answer = _told(Refusal(405, "MethodNotAllowed", f"{request.method} is not allowed, only GET"))
        except web.HTTPException as error:
            message = f"there is nothing at {request.path}"
            answer = _told(
                Refusal(error.status, "NotFound" if error.status == 404 else error.reason, message)
            )
        except Exception as error:
            log.exception("the metrics API could not answer %s", request.path)
            answer = _told(Refusal(500, "InternalError", type(error).__name__))
        metrics.METRICS_API_REQUESTS.labels(str(answer.status)).inc()
        return answer

    return middleware


def _admit(request: web.Request, trust: Trust) -> None:
    """The API server has checked what its caller may do; here is only checked that it is the API server."""
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport else None
    if not trust.admits(certificate):
        raise Refusal(401, "Unauthorized", "only the API server may ask, with its front proxy's certificate")


def _told(refusal: Refusal) -> web.Response:
    return web.json_response(wire.status(refusal), status=refusal.code)
