"""From what went wrong to an HTTP status and its JSON, the same for every route."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from search_plane.encoder import openai_api
from search_plane.encoder.batching import Expired, InferenceFailed, Overloaded
from search_plane.encoder.embed_request import Refused

# A client that has gone gets no answer; this status is only counted (nginx's code for it).
CLIENT_GONE = 499
_MOST_OF_A_PATH = 100

ErrorBody = Callable[[Refused], Mapping[str, Any]]


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


EXPECTED = (Refused, Overloaded, InferenceFailed, ClientGone)


def refusal_of(error: Exception) -> tuple[Refused, Mapping[str, str]]:
    """The status and JSON for one of EXPECTED, and more headers."""
    match error:
        case Refused():
            return error, {}
        case Expired():
            return Refused(503, f"Model is overloaded: {error}", "overloaded"), _retry(error)
        case Overloaded():
            return Refused(429, f"Model is overloaded: {error}", "overloaded"), _retry(error)
        case InferenceFailed():
            return Refused(424, str(error), "backend"), {}
        case ClientGone():
            return Refused(CLIENT_GONE, "the client has gone", "validation"), {}
    raise error


def tei_error(refused: Refused) -> Mapping[str, Any]:
    """A refusal in text-embeddings-inference's shape."""
    return refused.body


def as_json(app: FastAPI, headers: Mapping[str, str]) -> None:
    """Errors of the application itself as JSON, with these headers: no such path or method (404, 405), defects (500).

    Below /v1/ it has OpenAI's shape, elsewhere text-embeddings-inference's.
    """

    def answer(request: Request, refused: Refused, more: Mapping[str, str] | None = None) -> Response:
        shape: ErrorBody = openai_api.error_answer if _path(request).startswith("/v1/") else tei_error
        body = orjson.dumps(shape(refused))
        return Response(body, refused.status, {**headers, **(more or {})}, "application/json")

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> Response:
        said = f"{request.method} {_path(request)[:_MOST_OF_A_PATH]}: {error.detail}"
        return answer(request, Refused(error.status_code, said, "validation"), error.headers)

    @app.exception_handler(Exception)
    async def defect(request: Request, _error: Exception) -> Response:
        # The cause goes to the log (the server writes it), never to the caller.
        return answer(request, Refused(500, "the encoder failed to answer", "backend"))


def _path(request: Request) -> str:
    return str(request.scope["path"])


def _retry(error: Overloaded) -> Mapping[str, str]:
    return {"Retry-After": str(error.retry_after)}
