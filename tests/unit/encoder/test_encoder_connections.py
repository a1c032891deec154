"""What the encoder's HTTP protocol says to bytes that are no request, or only the beginning of one."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
import uvloop
from search_plane.encoder.http_protocol import MAX_HEAD_BYTES, BoundedHttp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

DEADLINE_SECONDS = 20.0
ARRIVAL_SECONDS = 0.2
Scenario = Callable[[int], Awaitable[None]]


class Impatient(BoundedHttp):
    """The protocol with a shorter wait."""

    arrival_seconds = ARRIVAL_SECONDS


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body; /early answers before it is read."""
    request = Request(scope, receive)
    try:
        body = b"early" if request.url.path == "/early" else await request.body()
    except ClientDisconnect:
        return
    await Response(body)(scope, receive, send)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The port of a server with the protocol."""
    config = uvicorn.Config(
        _echo, host="127.0.0.1", port=0, http=Impatient, ws="none", lifespan="off", log_config=None
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


def play(scenario: Scenario) -> None:
    """Run a scenario against the server's port."""

    async def run() -> None:
        async with serving() as port, asyncio.timeout(DEADLINE_SECONDS):
            await scenario(port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def said(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()


def error_of(answer: bytes) -> tuple[int, str]:
    """Status and message of the last answer among what was said."""
    head, body = answer[answer.rindex(b"HTTP/1.1 ") :].split(b"\r\n\r\n", 1)
    content = json.loads(body)
    assert content["error_type"] == "validation"
    assert f"content-length: {len(body)}".encode() in head
    assert b"connection: close" in head
    return int(head.split()[1]), content["error"]


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_gets_400_in_json(wire: bytes) -> None:
    async def scenario(port: int) -> None:
        assert error_of(await said(port, wire)) == (400, "Invalid HTTP request received.")

    play(scenario)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD_BYTES,
        b"POST / HTTP/1.1\r\n" + b"X: aaaaaaaa\r\n" * (MAX_HEAD_BYTES // 12),
        b"GET /" + b"a" * MAX_HEAD_BYTES,
        # Trailers come after the body, and chunks may have extensions.
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"X: aaaaaaaa\r\n" * (MAX_HEAD_BYTES // 6),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 2 * MAX_HEAD_BYTES,
    ],
)
def test_a_head_that_does_not_end_gets_431(head: bytes) -> None:
    async def scenario(port: int) -> None:
        status, error = error_of(await said(port, head, b"a" * 4096))
        assert (status, str(MAX_HEAD_BYTES) in error) == (431, True)

    play(scenario)


@pytest.mark.parametrize("wire", [b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345"])
def test_a_request_that_does_not_come_gets_408(wire: bytes) -> None:
    async def scenario(port: int) -> None:
        assert error_of(await said(port, wire))[0] == 408

    play(scenario)


def test_a_connection_without_a_request_is_closed() -> None:
    async def scenario(port: int) -> None:
        assert await said(port) == b""

    play(scenario)


def test_an_answered_request_s_late_body_gets_no_second_answer() -> None:
    async def scenario(port: int) -> None:
        answer = await said(port, b"POST /early HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.endswith(b"early")
        # When the rest comes after all, the connection does not stay open for ever.
        late = await said(port, b"POST /early HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345", b"67890")
        assert late.count(b"HTTP/1.1 ") == 1

    play(scenario)


def test_a_request_that_comes_slowly_but_in_time_is_answered() -> None:
    async def scenario(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            for byte in b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc":
                writer.write(bytes([byte]))
                await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(3) == b"abc"
            # A kept connection may rest for longer than a request may take to come.
            await asyncio.sleep(1.5 * ARRIVAL_SECONDS)
        writer.close()

    play(scenario)
