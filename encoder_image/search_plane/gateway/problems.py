"""What goes wrong, as JSON: the caller's mistakes, parts that are away, and what nobody foresaw."""

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from search_plane.gateway.answer import Problem
from search_plane.gateway.asgi import request_id
from search_plane.gateway.faults import BadQuery, Unavailable
from search_plane.gateway.metrics import GatewayMetrics

log = logging.getLogger(__name__)

PROBLEMS: dict[int | str, dict[str, Any]] = {
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


def as_json(content: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A model as a response."""
    return Response(content.model_dump_json(), status, headers, media_type="application/json")


def add_problems(app: FastAPI, metrics: GatewayMetrics) -> None:
    """Adds the handlers of all that routes raise."""

    @app.exception_handler(BadQuery)
    async def bad_query(_request: Request, error: BadQuery) -> Response:
        return as_json(Problem(error=str(error), field=error.field), 400)

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        return as_json(Problem(error=f"{field}: {first['msg']}", field=field), 400)

    @app.exception_handler(Unavailable)
    async def unavailable(_request: Request, fault: Unavailable) -> Response:
        metrics.failed(fault)
        log.warning(
            "no answer: %s",
            fault,
            extra={"part": fault.dependency, "reason": fault.reason, "request_id": request_id.get()},
        )
        return as_json(
            Problem(error=str(fault), field=fault.dependency), 503, {"Retry-After": str(fault.retry_after)}
        )

    @app.exception_handler(HTTPException)
    async def no_such_route(_request: Request, error: HTTPException) -> Response:
        return as_json(Problem(error=str(error.detail), field="path"), error.status_code)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> Response:
        # The cause goes to the log (the server writes it), never to the caller.
        return as_json(Problem(error="the gateway failed to answer", field="gateway"), 500)
