"""From what went wrong to an HTTP status and its JSON, the same for every route."""

from collections.abc import Mapping

from search_plane.encoder.batching import Expired, InferenceFailed, Overloaded
from search_plane.encoder.embed_request import Refused

# A client that has gone gets no answer; this status is only counted (nginx's code for it).
CLIENT_GONE = 499


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


def _retry(error: Overloaded) -> Mapping[str, str]:
    return {"Retry-After": str(error.retry_after)}
