"""A proxy in front of a real server that a test can make refuse, fall silent, answer late, or fail a share of requests."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol

Wire = Literal["http", "grpc"]

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ERROR_BODY = b'{"error":"injected"}'
_ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"X-Elastic-Product: Elasticsearch\r\nContent-Length: %d\r\n\r\n%s" % (len(_ERROR_BODY), _ERROR_BODY)
)
# RFC 9113: a connection begins with a preface, then frames of a 9-byte head; the first of a call is HEADERS.
_PREFACE, _FRAME_HEAD, _HEADERS, _RST_STREAM = 24, 9, 1, 3
# gRPC tells it as RESOURCE_EXHAUSTED, which pymilvus does not quietly try again by itself.
_ENHANCE_YOUR_CALM = 11


@dataclass(frozen=True)
class Fault:
    """What is wrong from now on, for open connections too.

    `refuse`: new connections are refused, open ones reset. `silent`: nothing passes either way, nothing is said.
    `delay`: seconds by which each answer comes later. `errors`: the share of requests that fail (500, or a reset call).
    """

    refuse: bool = False
    silent: bool = False
    delay: float = 0.0
    errors: float = 0.0


FINE = Fault()


class Requests(Protocol):
    """Follows what a client sends: what of it goes on, and what is answered in the server's place."""

    def sent(self, chunk: bytes) -> tuple[bytes, bytes]:
        """(to the server, to the client) of the next bytes from the client."""

    def answered(self, chunk: bytes) -> bytes:
        """What may go to the client now of the next bytes from the server, so that something fits in behind it."""


class FaultProxy:
    """From a free port of the loopback interface to `host:port`. Its own thread runs the event loop.

    >>> with FaultProxy("127.0.0.1", 9200, "http") as proxy:
    ...     proxy.set(Fault(delay=0.5))
    """

    def __init__(self, host: str, port: int, wire: Wire, seed: int = 1) -> None:
        self._target = (host, port)
        self._wire = wire
        self._random = random.Random(seed)
        self._fault = FINE
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy to {host}:{port}", daemon=True)
        self.port = 0

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Clients' connections that are open."""
        return len(self._clients)

    def set(self, fault: Fault) -> None:
        """Changes what is wrong; has taken effect when it returns."""
        asyncio.run_coroutine_threadsafe(self._set(fault), self._loop).result(5)

    async def _set(self, fault: Fault) -> None:
        before, self._fault = self._fault, fault
        if fault.refuse and self._server is not None:
            self._server.close()
            self._server = None
            for client in self._clients:
                client.transport.abort()
        elif not fault.refuse and self._server is None:
            await self._listen()
        if before.silent and not fault.silent:
            self._changed.set()
            self._changed = asyncio.Event()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._clients.add(writer)
        requests: Requests = HttpRequests(self._fails) if self._wire == "http" else GrpcRequests(self._fails)
        answers: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        pumps = [
            asyncio.ensure_future(pump)
            for pump in (
                self._up(reader, far_writer, requests, answers),
                self._down(far_reader, requests, answers),
                self._deliver(writer, answers),
            )
        ]
        try:
            # Whichever side ends first, the other is told by the end of the connection.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._clients.discard(writer)
            writer.transport.abort()
            far_writer.transport.abort()

    def _fails(self) -> bool:
        return self._fault.errors > 0 and self._random.random() < self._fault.errors

    async def _up(
        self,
        reader: asyncio.StreamReader,
        far: asyncio.StreamWriter,
        requests: Requests,
        answers: asyncio.Queue[tuple[float, bytes]],
    ) -> None:
        while chunk := await reader.read(65536):
            await self._passable()
            on, back = requests.sent(chunk)
            if back:
                answers.put_nowait((0.0, back))
            if on:
                far.write(on)
                await far.drain()

    async def _down(
        self, far: asyncio.StreamReader, requests: Requests, answers: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while chunk := await far.read(65536):
            if passable := requests.answered(chunk):
                answers.put_nowait((self._loop.time() + self._fault.delay, passable))

    async def _deliver(
        self, writer: asyncio.StreamWriter, answers: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while True:
            due, chunk = await answers.get()
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._passable()
            writer.write(chunk)
            await writer.drain()

    async def _passable(self) -> None:
        while self._fault.silent:
            await self._changed.wait()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        assert self._started.wait(5), "waited 5 s for the proxy's port"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class HttpRequests:
    """HTTP/1.1 with Content-Length, one request at a time on a connection: a failing one is answered 500."""

    def __init__(self, fails: Callable[[], bool]) -> None:
        self._fails = fails
        self._head = b""
        self._body_left = 0
        self._failing = False

    def sent(self, chunk: bytes) -> tuple[bytes, bytes]:
        """See Requests."""
        on = back = b""
        while chunk:
            if self._body_left:
                body, chunk = chunk[: self._body_left], chunk[self._body_left :]
                self._body_left -= len(body)
                on += b"" if self._failing else body
            else:
                head, found, rest = (self._head + chunk).partition(_HEAD_END)
                if not found:
                    self._head = head
                    break
                self._head, chunk = b"", rest
                length = _LENGTH.search(head)
                self._body_left = int(length[1]) if length else 0
                self._failing = self._fails()
                if not self._failing:
                    on += head + _HEAD_END
            if self._failing and not self._body_left:
                self._failing = False
                back += _ERROR
        return on, back

    def answered(self, chunk: bytes) -> bytes:
        """See Requests."""
        return chunk


class GrpcRequests:
    """HTTP/2: a failing call is reset for the client. The server is not told, so that both keep the same header tables."""

    def __init__(self, fails: Callable[[], bool]) -> None:
        self._fails = fails
        self._up = b""
        self._down = b""
        self._preface_left = _PREFACE
        self._last_stream = 0

    def sent(self, chunk: bytes) -> tuple[bytes, bytes]:
        """See Requests."""
        skipped = min(self._preface_left, len(chunk))
        self._preface_left -= skipped
        frames, self._up = split_frames(self._up + chunk[skipped:])
        back = b""
        for frame in frames:
            stream = int.from_bytes(frame[5:9], "big") & 0x7FFF_FFFF
            if frame[3] == _HEADERS and stream > self._last_stream:
                self._last_stream = stream
                if self._fails():
                    back += (
                        b"\x00\x00\x04"
                        + bytes([_RST_STREAM, 0])
                        + stream.to_bytes(4, "big")
                        + _ENHANCE_YOUR_CALM.to_bytes(4, "big")
                    )
        return chunk, back

    def answered(self, chunk: bytes) -> bytes:
        """See Requests: whole frames only."""
        frames, self._down = split_frames(self._down + chunk)
        return b"".join(frames)


def split_frames(content: bytes) -> tuple[list[bytes], bytes]:
    """The whole HTTP/2 frames at the beginning, and what is left."""
    frames, at = [], 0
    while len(content) - at >= _FRAME_HEAD:
        end = at + _FRAME_HEAD + int.from_bytes(content[at : at + 3], "big")
        if end > len(content):
            break
        frames.append(content[at:end])
        at = end
    return frames, content[at:]
