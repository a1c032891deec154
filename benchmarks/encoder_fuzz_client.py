"""A client that sends bytes as they are told and reads one answer, for requests that no HTTP library would send."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httptools

from benchmarks.encoder_fuzz_requests import Attempt

ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.reusable = True
        self._writable = asyncio.Event()
        self._writable.set()
        self._begin("GET")

    def _begin(self, method: str) -> None:
        self._method = method
        self.answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio.Transport

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(None)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        # An answer to HEAD has a length and no body, which a parser of answers alone can't know.
        if self._method == "HEAD":
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 100:
            self._headers.clear()
            return
        self.reusable = self.reusable and self._headers.get("connection", "").lower() != "close"
        self._end(Answer(status, dict(self._headers), bytes(self._body)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self.transport = None
        self._writable.set()
        self._end(None)

    def _end(self, answer: Answer | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    async def send(self, attempt: Attempt) -> None:
        """Writes the pieces, as fast as they are read."""
        self._begin(attempt.method)
        for number, piece in enumerate(attempt.pieces):
            if number and attempt.pause:
                await asyncio.sleep(attempt.pause)
            # Whoever has an answer need not say the rest.
            if self.transport is None or self.answer.done():
                self.reusable = False
                return
            self.transport.write(piece)
            writable: asyncio.Future[Any] = asyncio.ensure_future(self._writable.wait())
            either: set[asyncio.Future[Any]] = {writable, self.answer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            writable.cancel()

    def close(self) -> None:
        """Goes, whatever is on its way."""
        self.reusable = False
        if self.transport is not None:
            self.transport.abort()


class Asker:
    """Asks one request after the other, over one connection as long as it is fit for another."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._connection: _Connection | None = None

    async def ask(self, attempt: Attempt) -> Answer | None:
        """The answer; None where the connection ended without one, or the client broke off.

        Raises TimeoutError after ANSWER_SECONDS.
        """
        kept = self._connection is not None and self._connection.reusable and _fit(attempt)
        answer = await self._once(attempt, kept)
        if answer is None and kept and not attempt.breaks_off:
            # The server may have ended a kept connection at that moment; it must not end a new one.
            answer = await self._once(attempt, kept=False)
        return answer

    async def _once(self, attempt: Attempt, kept: bool) -> Answer | None:
        if not kept:
            self.close()
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_connection(_Connection, self._host, self._port)
        connection = self._connection
        assert connection is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.send(attempt)
                return None if attempt.breaks_off else await connection.answer
        finally:
            # What is left unsaid or unread would be taken for the next request's.
            if not _fit(attempt) or connection.answer.cancelled() or not connection.answer.done():
                self.close()

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _fit(attempt: Attempt) -> bool:
    """Whether its connection may be another request's before or after it."""
    return attempt.http and not attempt.breaks_off and attempt.source not in ("pipelined", "upgrade")
