"""Uvicorn's HTTP protocol with bounds: heads that never end, requests that never come, and errors as JSON."""

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# Neither the parser nor uvicorn limits a head. As much may be read from a socket at once.
MAX_HEAD_BYTES = 256 * 1024
ARRIVAL_SECONDS = 60.0
# A connection closed on unread bytes is reset, and the answer to them lost; so for so long they are read away.
LINGER_SECONDS = 2.0


class BoundedHttp(HttpToolsProtocol):
    """One connection. What is no HTTP gets 400, a head over the limit 431, a request that is not whole in time 408.

    A connection on which nothing comes is closed. One that is kept after an answer has uvicorn's own limit.
    """

    arrival_seconds = ARRIVAL_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # nothing, head, body, whole, or refused: how much of a request has come.
        self._stage = "nothing"
        self._since = 0.0
        # Bytes since the last one that was of use: of a body, or the end of a head.
        self._unused = 0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From asyncio."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(self.arrival_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """From asyncio."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        if self._stage == "refused":
            return
        self._unused += len(data)
        super().data_received(data)
        if self._unused > MAX_HEAD_BYTES and self._stage != "refused":
            self._refuse(431, f"the request's line and headers are larger than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """From httptools."""
        self._stage, self._since = "head", self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """From httptools."""
        self._stage, self._unused = "body", 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """From httptools."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """From httptools."""
        self._unused = 0
        # Uvicorn's limit for kept connections began with the answer, and ended with what came of the body after it.
        if self.cycle.response_complete:
            self._stage, self._since = "nothing", self.loop.time()
        else:
            self._stage = "whole"
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for bytes that are no HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, said: str) -> None:
        """Answers and closes; where the request has an answer already, or half of one, it only closes."""
        cycle = self.cycle
        answered = cycle is not None and cycle.response_started
        # A finished answer to an earlier request is not in the way of this one's.
        if answered and self._stage != "body" and cycle.response_complete:
            answered = False
        self._stage = "refused"
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if answered:
            self.transport.close()
            return
        body = orjson.dumps({"error": said, "error_type": "validation"})
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close"
        self.transport.write(STATUS_LINE[status] + head.encode() + b"\r\n\r\n" + body)
        self.transport.write_eof()
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _look(self) -> None:
        """Once per `arrival_seconds`, so that it costs nothing; it finds what is late after one to two of them."""
        if self.transport.is_closing():
            return
        if self._stage == "whole" or self.loop.time() - self._since < self.arrival_seconds:
            self._watch = self.loop.call_later(self.arrival_seconds, self._look)
        elif self._stage == "nothing":
            self.transport.close()
        else:
            self._refuse(408, f"the request was not whole within {self.arrival_seconds:.0f} s")
