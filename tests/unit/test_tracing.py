"""Traces from the gateway's client to the encoder: ids that go through, ids in log lines, and nothing for nothing."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter
from search_plane.gateway.embedding import QueryEncoder
from search_plane.gateway.faults import Unavailable
from search_plane.jobs.embedding import EncoderClient
from search_plane.jobs.failure import JobFailed
from search_plane.tracing import Traced, TraceIds, asking, export_spans, note, pass_on, recording
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tests.unit.gateway.snapshots import identity

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
DEADLINE_SECONDS = 20.0


class Other:
    """A server behind the middleware that keeps what arrives and what it would pass on; its answer is no vector."""

    def __init__(self) -> None:
        self.arrived: list[dict[str, str]] = []
        self.passed_on: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        self.arrived.append(dict(Request(scope).headers))
        headers: dict[str, str] = {}
        pass_on(headers)
        self.passed_on.append(headers)
        await JSONResponse({"error": "no vectors here"}, 400)(scope, receive, send)


@asynccontextmanager
async def serving(other: Other) -> AsyncIterator[str]:
    """The URL of it on a socket of its own."""
    config = uvicorn.Config(
        Traced(other),
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_config=None,
        reset_contextvars=True,
        interface="asgi3",
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await server.shutdown()


async def ask(app: Traced, headers: dict[str, str]) -> None:
    """One request, as a server makes it: in a task of its own."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        await asyncio.create_task(client.get("/search", headers=headers))


@pytest.mark.parametrize("client", ["gateway", "job"])
def test_a_caller_s_trace_arrives_at_the_encoder(client: str) -> None:
    encoder = Other()

    async def run() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), serving(encoder) as url:

            async def answer(scope: Scope, receive: Receive, send: Send) -> None:
                if client == "gateway":
                    queries = QueryEncoder(url, identity(dimension=4), 5.0, connections=1)
                    with pytest.raises(Unavailable):
                        await queries.embed("大米", asyncio.get_running_loop().time() + 5)
                    await queries.close()
                else:
                    documents = EncoderClient(url, "sha256:f", 4)
                    with pytest.raises(JobFailed):
                        await documents.embed(["大米"])
                    await documents.close()
                await JSONResponse({})(scope, receive, send)

            await ask(Traced(answer), {"traceparent": PARENT, "tracestate": "shop=1,other=2"})
            await ask(Traced(answer), {})

    asyncio.run(run())
    traced, plain = encoder.arrived
    assert traced["traceparent"].split("-")[1] == TRACE
    assert traced["tracestate"] == "shop=1,other=2"
    assert encoder.passed_on[0]["traceparent"].split("-")[1] == TRACE
    assert "traceparent" not in plain
    assert encoder.passed_on[1] == {}


@pytest.mark.parametrize(
    "parent",
    [
        "", "x", "00", PARENT[:-1], PARENT.upper(), f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01", PARENT + "-more", PARENT + "0" * 10_000,
    ],
)  # fmt: skip
def test_a_malformed_trace_is_ignored(parent: str) -> None:
    other = Other()
    asyncio.run(ask(Traced(other), {"traceparent": parent, "tracestate": "shop=1"}))
    assert other.passed_on == [{}]


def test_of_two_parents_neither_is_believed() -> None:
    other = Other()

    async def run() -> None:
        transport = httpx.ASGITransport(Traced(other))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            await client.get(
                "/", headers=[("traceparent", PARENT), ("traceparent", PARENT.replace("4", "5"))]
            )

    asyncio.run(run())
    assert other.passed_on == [{}]


def test_pipelined_requests_have_each_their_own_trace() -> None:
    other = Other()

    async def run() -> None:
        async with asyncio.timeout(DEADLINE_SECONDS), serving(other) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            first = f"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {PARENT}\r\n\r\n"
            writer.write(f"{first}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            await reader.read()
            writer.close()

    asyncio.run(run())
    assert [passed.get("traceparent") for passed in other.passed_on] == [PARENT, None]


def test_log_lines_of_a_request_carry_its_trace() -> None:
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonFormatter("%(levelname)s %(message)s"))
    handler.addFilter(TraceIds())
    log = logging.Logger("test")
    log.addHandler(handler)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        log.warning("within")
        await JSONResponse({})(scope, receive, send)

    asyncio.run(ask(Traced(answer), {"traceparent": PARENT}))
    asyncio.run(ask(Traced(answer), {}))
    within, without = (json.loads(line) for line in output.getvalue().splitlines())
    assert (within["message"], within["trace_id"], within["span_id"]) == ("within", TRACE, SPAN)
    assert "trace_id" not in without


def test_without_a_collector_no_span_is_made() -> None:
    assert not export_spans("gateway", {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "x"})
    assert not recording()
    note(texts=1)
    with asking("embed"):
        assert not recording()
    assert not trace.get_current_span().get_span_context().is_valid
