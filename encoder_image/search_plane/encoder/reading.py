"""Reading a request within bounds, for a client that may go before it is answered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from search_plane.encoder.batching import Job
from search_plane.encoder.embed_request import invalid, too_large
from search_plane.encoder.http_answers import ClientGone
from search_plane.encoder.settings import MAX_BODY_BYTES
from search_plane.release.embedding_wire import TIMEOUT_HEADER

T = TypeVar("T")


async def unless_gone(
    compute: Callable[[Callable[[Job], Awaitable[None]]], Awaitable[T]], request: Request
) -> T:
    """What `compute` gives, told what to await meanwhile; ClientGone where the client went first."""

    async def cancel_when_gone(job: Job) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue
        job.cancel()

    try:
        return await compute(cancel_when_gone)
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise ClientGone from None


def seconds_to_wait(request: Request) -> float:
    """Seconds for which the caller waits; endless where it doesn't say."""
    text = request.headers.get(TIMEOUT_HEADER)
    if text is None:
        return float("inf")
    if not (text.isdecimal() and text.isascii() and int(text[:12]) > 0):
        raise invalid(
            f"{TIMEOUT_HEADER}: expected milliseconds as a whole number above 0, found {text[:20]!r}"
        )
    return int(text[:12]) / 1000


async def body_of(request: Request) -> bytes:
    """The body. Raises Refused where it is too large, ClientGone where the client went."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise invalid("Content-Length is not a number")
    if int(length) > MAX_BODY_BYTES:
        raise too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise too_large()
    except ClientDisconnect:
        raise ClientGone from None
    return bytes(body)
