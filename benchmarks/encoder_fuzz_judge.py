"""Whether an answer to a fuzzed request is one that the encoder's OpenAPI description promises. Pure."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson
from numpy.typing import NDArray
from search_plane.release.embedding_wire import asked_for

from benchmarks.encoder_fuzz_client import Answer
from benchmarks.encoder_fuzz_requests import TEXT_KEYS, Attempt

# Of bytes that are no HTTP request, or one whose head is too large; told of each route that takes a body.
NOT_HTTP = frozenset({400, 408, 431})
_NO_ROUTE = frozenset({400, 404, 405, 422, 431})
_UNIT_TOLERANCE = {"float32": 1e-4, "float16": 5e-3}

Documented = Mapping[tuple[str, str], frozenset[int]]


def documented(openapi: Mapping[str, Any]) -> Documented:
    """Statuses by (method, path) of an OpenAPI description, and of the route that gave it."""
    return {(method, "/openapi.json"): frozenset({200}) for method in ("GET", "HEAD")} | {
        (method.upper(), path): frozenset(map(int, operation["responses"]))
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    }


def complaint(attempt: Attempt, answer: Answer | None, routes: Documented, dimension: int) -> str | None:
    """What is wrong with an answer, in one line; None for nothing. `answer` None: the connection was closed."""
    if attempt.breaks_off:
        return None
    if answer is None:
        return None if not attempt.http else "the connection was closed without an answer"
    if answer.status not in _allowed(attempt, routes):
        return f"status {answer.status} is not documented"
    if attempt.method == "HEAD":
        return "a body" if answer.body else None
    if answer.status == 200:
        return _wrong_in_200(attempt, answer, dimension)
    return _wrong_in_error(_route(attempt), answer)


def _allowed(attempt: Attempt, routes: Documented) -> frozenset[int]:
    path = _route(attempt)
    known = routes.get((attempt.method, path))
    if known is not None and ("#" in attempt.path or "%" in attempt.path.partition("?")[0]):
        # Whether /embed#x or /%65mbed is /embed is the parser's to say.
        return known | _NO_ROUTE
    if known is not None and attempt.http:
        # What isn't HTTP is only answered as such.
        return known - NOT_HTTP
    if known is not None:
        return known | NOT_HTTP
    return _NO_ROUTE


def _route(attempt: Attempt) -> str:
    """The path that is asked for; a request may name the whole address, as one to a proxy does."""
    path = attempt.path.partition("?")[0].partition("#")[0]
    return unquote(urlsplit(path).path if path.startswith("http://") else path)


def _wrong_in_error(path: str, answer: Answer) -> str | None:
    try:
        told = orjson.loads(answer.body)
        if "message" in told["error"] and not isinstance(told["error"], str):
            said, kind = told["error"]["message"], told["error"]["type"]
        else:
            said, kind = told["error"], told["error_type"]
        if path in ("/v1/embeddings",) and isinstance(told["error"], str) and answer.status not in NOT_HTTP:
            return f"status {answer.status} without OpenAI's shape: {answer.body[:200]!r}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"status {answer.status} without the documented JSON: {answer.body[:200]!r}"
    if not (isinstance(said, str) and said and isinstance(kind, str) and kind):
        return f"status {answer.status} says nothing: {answer.body[:200]!r}"
    if answer.status in (429, 503) and path in TEXT_KEYS and not answer.headers.get("retry-after"):
        return f"status {answer.status} without Retry-After"
    return None


def _wrong_in_200(attempt: Attempt, answer: Answer, dimension: int) -> str | None:
    try:
        path = _route(attempt)
        if path in TEXT_KEYS and attempt.method == "POST":
            asked = orjson.loads(attempt.body)
            texts = asked[TEXT_KEYS[path]]
            count = 1 if isinstance(texts, str) else len(texts)
            if path == "/tokenize":
                return _wrong_tokens(orjson.loads(answer.body), count)
            vectors, form = _vectors(path, answer, dimension)
            return _wrong_vectors(vectors, form, count, dimension, unit=asked.get("normalize") is not False)
        if path == "/metrics":
            return None if answer.body.startswith(b"# HELP ") else "no metrics"
        return None if isinstance(orjson.loads(answer.body), dict) else "no JSON object"
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        return f"status 200 without the documented content: {type(error).__name__} {error}"[:200]


def _vectors(path: str, answer: Answer, dimension: int) -> tuple[NDArray[np.float64], str]:
    """float64 [texts, dimension], and what number they were told as."""
    form = asked_for(answer.headers.get("content-type", ""))
    if form is not None:
        flat = np.frombuffer(answer.body, "<f4" if form == "float32" else "<f2").astype(np.float64)
        return flat.reshape(-1, dimension), form
    told = orjson.loads(answer.body)
    if path == "/v1/embeddings":
        rows = [row["embedding"] for row in told["data"]]
        told = [np.frombuffer(base64.b64decode(r), "<f4") if isinstance(r, str) else r for r in rows]
    return np.array(told, np.float64), "float32"


def _wrong_vectors(
    vectors: NDArray[np.float64], form: str, count: int, dimension: int, *, unit: bool
) -> str | None:
    if vectors.shape != (count, dimension):
        return f"vectors of shape {vectors.shape} for {count} texts"
    if not np.isfinite(vectors).all():
        return "a vector that is not finite"
    lengths = np.linalg.norm(vectors, axis=1)
    if unit and np.abs(lengths - 1).max() > _UNIT_TOLERANCE[form]:
        return f"a vector of length {lengths[np.abs(lengths - 1).argmax()]:.6f}"
    return None


def _wrong_tokens(told: list[list[dict[str, Any]]], count: int) -> str | None:
    if len(told) != count:
        return f"tokens of {len(told)} texts for {count}"
    for tokens in told:
        for token in tokens:
            if set(token) != {"id", "text", "special", "start", "stop"}:
                return f"a token with the keys {sorted(token)}"
            if not token["special"] and not 0 <= token["start"] <= token["stop"]:
                return f"a token at {token['start']}..{token['stop']}"
    return None
