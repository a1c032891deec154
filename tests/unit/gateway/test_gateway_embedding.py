"""The encoder's client: what it believes, what it refuses, and when it gives up."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.embedding import QueryEncoder, checked_vector, refusal
from search_plane.gateway.faults import Unavailable
from search_plane.release.embedding_wire import ACCEPT_FLOAT32, FINGERPRINT_HEADER, TIMEOUT_HEADER, packed

from tests.unit.gateway.snapshots import identity

IDENTITY = identity(dimension=4)
FINGERPRINT = IDENTITY.fingerprint()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def headers(kind: str = "application/json", fingerprint: str | None = FINGERPRINT) -> dict[str, str]:
    """An answer's headers."""
    return {"Content-Type": kind} | ({FINGERPRINT_HEADER: fingerprint} if fingerprint is not None else {})


ROW = np.array([[0.5, 0.5, -0.5, 0.5]], np.float32)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b"[[0.5,0.5,-0.5,0.5]]"),
        ("", b"[[0.5,0.5,-0.5,0.5]]"),
        (ACCEPT_FLOAT32, packed(ROW, "float32")),
        ("application/octet-stream; dtype=float16", packed(ROW, "float16")),
    ],
)
def test_a_good_answer_is_one_float32_vector(kind: str, content: bytes) -> None:
    vector = checked_vector(headers(kind), content, FINGERPRINT, 4)
    assert vector.dtype == np.float32
    assert vector.tolist() == [0.5, 0.5, -0.5, 0.5]


@pytest.mark.parametrize("header", [None, "", identity("2").fingerprint(), FINGERPRINT.upper()])
def test_another_fingerprint_is_refused_whatever_the_vector(header: str | None) -> None:
    with pytest.raises(Unavailable, match="another fingerprint") as refused:
        checked_vector(headers(fingerprint=header), b"[[1,0,0,0]]", FINGERPRINT, 4)
    assert (refused.value.dependency, refused.value.reason) == ("encoder", "fingerprint")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"null", b"[[]]", b"[[1,0,0]]", b"[[1,0,0,0,0]]", b"[1,0,0,0]",
        b"[[1,0,0,0],[1,0,0,0]]", b"[[1,0,0,null]]", b"[[1,0,0,NaN]]", b"[[1,0,0,1e39]]",
        b'[["a",0,0,0]]', b"[[1,0,0,{}]]", b"[[1,0],[0]]",
    ],
)  # fmt: skip
def test_what_is_not_one_finite_vector_is_refused(content: bytes) -> None:
    with pytest.raises(Unavailable) as refused:
        checked_vector(headers(), content, FINGERPRINT, 4)
    assert refused.value.reason == "vector"


@pytest.mark.parametrize(
    "content", [b"", bytes(15), bytes(17), bytes(32), np.full(4, np.nan, "<f4").tobytes()]
)
def test_bytes_that_are_not_one_finite_vector_are_refused(content: bytes) -> None:
    with pytest.raises(Unavailable) as refused:
        checked_vector(headers(ACCEPT_FLOAT32), content, FINGERPRINT, 4)
    assert refused.value.reason == "vector"


@given(st.lists(st.lists(st.floats(width=32) | st.none(), max_size=6), max_size=3))
def test_only_one_whole_finite_vector_passes(vectors: list[list[float | None]]) -> None:
    try:
        vector = checked_vector(headers(), orjson.dumps(vectors), FINGERPRINT, 4)
    except Unavailable:
        good = len(vectors) == 1 and len(vectors[0]) == 4
        assert not (good and all(value is not None and np.isfinite(value) for value in vectors[0]))
    else:
        assert vector.shape == (4,)
        assert np.isfinite(vector).all()


@pytest.mark.parametrize(
    ("status", "header", "reason", "seconds"),
    [
        (409, "", "fingerprint", 1),
        (429, "3", "overload", 3),
        (429, "", "overload", 1),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", "overload", 1),
        (429, "86400", "overload", 30),
        (503, "2", "overload", 2),
        (500, "", "http_500", 1),
        (302, "", "http_302", 1),
    ],
)
def test_refusals_have_a_reason_and_a_time(status: int, header: str, reason: str, seconds: int) -> None:
    fault = refusal(status, header)
    assert (fault.dependency, fault.reason, fault.retry_after) == ("encoder", reason, seconds)


@asynccontextmanager
async def served(*routes: web.RouteDef) -> AsyncIterator[str]:
    """The address of a fake encoder, with faults that the real one never shows."""
    app = web.Application()
    app.router.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def closing(encoder: QueryEncoder) -> AsyncIterator[QueryEncoder]:
    """The encoder's client, closed in the end."""
    try:
        yield encoder
    finally:
        await encoder.close()


def ask(
    handler: Handler, timeout_seconds: float = 2.0, calls: int = 1, hedge_seconds: float | None = None
) -> list[float]:
    """The last vector from a fake encoder that behaves as `handler` does."""

    async def run() -> list[float]:
        async with (
            served(web.post("/embed", handler)) as url,
            closing(
                QueryEncoder(f"{url}/", IDENTITY, timeout_seconds, connections=4, hedge_seconds=hedge_seconds)
            ) as encoder,
        ):
            for _ in range(calls):
                vector = await encoder.embed("大米", asyncio.get_running_loop().time() + 5)
            return [float(value) for value in vector]

    return asyncio.run(run())


def good_answer() -> web.Response:
    return web.Response(body=b"[[1,0,0,0]]", headers={FINGERPRINT_HEADER: FINGERPRINT})


def test_the_request_is_a_query_for_this_fingerprint_and_says_how_long_it_waits() -> None:
    seen: list[tuple[dict[str, str], object]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), orjson.loads(await request.read())))
        return good_answer()

    assert ask(handler, timeout_seconds=2.0) == [1, 0, 0, 0]
    ((sent, body),) = seen
    assert body == {"inputs": "大米", "prompt_name": "query", "normalize": True, "truncate": True}
    assert (sent[FINGERPRINT_HEADER], sent["Accept"]) == (FINGERPRINT, ACCEPT_FLOAT32)
    assert 0 < int(sent[TIMEOUT_HEADER]) <= 2000


def test_a_broken_connection_is_tried_once_more() -> None:
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        if count == 1:
            assert request.transport is not None
            request.transport.abort()
        return good_answer()

    assert ask(handler) == [1, 0, 0, 0]
    assert count == 2


def test_what_one_encoder_holds_up_is_asked_again_meanwhile() -> None:
    released = asyncio.Event()
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        if count == 1:
            await released.wait()
        return good_answer()

    assert ask(handler, hedge_seconds=0.02) == [1, 0, 0, 0]
    assert count == 2


def test_it_is_not_tried_a_third_time() -> None:
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        assert request.transport is not None
        request.transport.abort()
        return good_answer()

    with pytest.raises(Unavailable, match="can't be reached"):
        ask(handler)
    assert count == 2


def test_a_silent_encoder_costs_no_more_than_its_deadline() -> None:
    async def handler(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return good_answer()

    started = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        ask(handler, timeout_seconds=0.1)
    assert time.monotonic() - started < 2.0


def test_a_redirect_is_not_followed() -> None:
    async def handler(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:9/embed")

    with pytest.raises(Unavailable, match="answered 307"):
        ask(handler)


def test_connections_are_kept_and_now_and_then_renewed() -> None:
    peers: set[object] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return good_answer()

    ask(handler, calls=450)
    assert len(peers) == 3


def test_connections_are_opened_side_by_side_and_without_a_text() -> None:
    async def run() -> None:
        together = asyncio.Barrier(3)
        passed: list[int] = []

        async def alive(request: web.Request) -> web.Response:
            # Nobody passes before three are here, so that one connection could not do.
            async with asyncio.timeout(5):
                passed.append(await together.wait())
            return web.Response()

        async with (
            served(web.get("/healthz", alive)) as url,
            closing(QueryEncoder(url, IDENTITY, 10.0, connections=4)) as encoder,
        ):
            await encoder.connect(3)
        assert sorted(passed) == [0, 1, 2]
        # Nobody there is no reason to fail: the text asked beside it tells.
        async with closing(QueryEncoder(url, IDENTITY, 0.5, connections=4)) as away:
            await away.connect(2)

    asyncio.run(run())
