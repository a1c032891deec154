"""How fuzzed requests go over the wire: rightly framed, in pieces, broken off half way, or not HTTP at all."""

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from hypothesis import strategies as st

from benchmarks.encoder_fuzz_requests import (
    GET_PATHS,
    TEXT_KEYS,
    Attempt,
    Headers,
    bodies,
    drawn,
    headers_for,
    large_bodies,
)

_PAUSES = (0.0, 0.01, 0.1)
_ODD_PATHS = (
    "/embed/", "//embed", "/embed?x=%00&y=%ff", "/embed#x", "/../embed", "/%65mbed", "/%ff", "/%00", "/v1/nothing", "/v1",
    "/embed;a=b", "/米", "/" + "a" * 70_000, "*", "http://elsewhere/embed", "http://elsewhere", "", "/embed%20",
)  # fmt: skip
_METHODS = (
    "GET",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "POST",
    "QUERY",
    "FOO",
    "post",
)
_NO_HTTP = (
    b"\r\n", b"\x00", b"hello\r\n\r\n", b"GET\r\n\r\n", b"POST /embed HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"POST /embed HTTP/1.1\r\nHost a\r\n\r\n", b"POST /embed HTTP/1.1\r\n: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /embed HTTP/1.1\r\nA: \x00\r\n\r\n", b"POST /embed HTTP/1.1\nHost: a\nContent-Length: 1\n\n1",
)  # fmt: skip
_LENGTHS = (
    b"-1",
    b"abc",
    b"",
    b"9" * 30,
    b"+5",
    b"0x10",
    b"1, 1",
    b"1 1",
    b"\xb2",
    b"5\r\nContent-Length: 6",
)
_ENCODINGS = (
    b"gzip", b"chunked, gzip", b"gzip, chunked", b"xchunked", b"chunked\r\nContent-Length: 3",
    b"chunked\r\nTransfer-Encoding: chunked",
)  # fmt: skip
_CHUNKS = (b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\r\nab", b"1\r\naX", b"\r\n")


def head(method: str, path: str, headers: Headers, framing: bytes) -> bytes:
    """The request's line and headers."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: encoder"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, *([framing] if framing else []), b"", b""])


def _length(size: int) -> bytes:
    return b"Content-Length: %d" % size


def framed(source: str, method: str, path: str, headers: Headers, body: bytes) -> Attempt:
    """A request with the right Content-Length."""
    wire = head(method, path, headers, _length(len(body))) + body
    return Attempt(source, method, path, body, headers, (wire,))


def _chunked(
    path: str, headers: Headers, body: bytes, cuts: list[int], extension: bytes, trailers: int
) -> Attempt:
    at = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    parts = [body[a:b] for a, b in pairwise(at)]
    wire = [b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts]
    ending = b"0\r\n" + b"X-After: 1\r\n" * trailers + b"\r\n"
    pieces = (head("POST", path, headers, b"Transfer-Encoding: chunked"), *wire, ending)
    return Attempt("chunked", "POST", path, body, headers, pieces)


def _in_pieces(path: str, body: bytes, cuts: list[int], pause: float) -> Attempt:
    wire = head("POST", path, (), _length(len(body))) + body
    at = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})
    pieces = tuple(wire[a:b] for a, b in pairwise(at))
    return Attempt("slow", "POST", path, body, (), pieces, pause=pause)


def _broken_off(path: str, body: bytes, at: int, pause: float) -> Attempt:
    wire = head("POST", path, (), _length(len(body))) + body
    # Past the end it is a client that asks properly and goes before the answer.
    pieces = (wire[: at % (len(wire) + 20)], b"") if pause else (wire[: at % (len(wire) + 20)],)
    return Attempt("broken off", "POST", path, body, (), pieces, pause=pause, breaks_off=True)


def _wrong_length(path: str, body: bytes, by: int) -> Attempt:
    """Less than there is: the rest is no HTTP. More than there is: the client goes without an answer."""
    wire = head("POST", path, (), _length(max(0, len(body) + by))) + body
    return Attempt("wrong length", "POST", path, body, (), (wire,), http=False, breaks_off=by > 0)


def _no_http(junk: bytes) -> Attempt:
    # Of line ends alone a server would wait for more.
    wire = junk + b"\r\n\r\nnonsense\r\n\r\n"
    return Attempt("no HTTP", "POST", "/embed", wire, (), (wire,), http=False)


def _odd_framing(path: str, body: bytes, framing: bytes) -> Attempt:
    # What would be waiting for more of the body ends here, too.
    wire = head("POST", path, (), framing) + body + b"\r\nnonsense\r\n\r\n"
    return Attempt(
        "odd framing", "POST", path, body, ((b"Framing", framing[:60]),), (wire,), http=False, pause=0.0
    )


def _odd_chunks(path: str, junk: bytes) -> Attempt:
    wire = head("POST", path, (), b"Transfer-Encoding: chunked") + junk
    return Attempt("odd chunks", "POST", path, junk, (), (wire, b"\r\n\r\n\r\n"), http=False)


def _large_head(path: str, size: int, many: bool) -> Attempt:
    headers = tuple((b"X-%d" % i, b"a" * 90) for i in range(size // 100)) if many else ((b"X", b"a" * size),)
    wire = head("POST", path, headers, _length(0))
    return Attempt("large head", "POST", path, b"", ((b"X", b"%d bytes" % size),), (wire,), http=False)


def _pipelined(path: str, first: bytes, second: bytes) -> Attempt:
    wire = framed("", "POST", path, (), first).pieces[0] + framed("", "POST", path, (), second).pieces[0]
    return Attempt("pipelined", "POST", path, first, (), (wire,))


def _upgrade(path: str, body: bytes, to: bytes) -> Attempt:
    headers = ((b"Connection", b"Upgrade"), (b"Upgrade", to))
    return framed("upgrade", "POST", path, headers, body)


def _strategy(path: str, fingerprint: str) -> "st.SearchStrategy[Attempt]":
    """Requests to a route of texts; half of them rightly framed."""
    body = bodies(TEXT_KEYS[path])
    cuts = st.lists(st.integers(0, 10_000), max_size=4)
    plain: Callable[[Headers, bytes], Attempt] = partial(framed, "body", "POST", path)
    to = st.just(path)
    odd = st.one_of(
        st.sampled_from(_LENGTHS).map(lambda some: b"Content-Length: " + some),
        st.sampled_from(_ENCODINGS).map(lambda some: b"Transfer-Encoding: " + some),
    )
    return st.one_of(
        *[st.builds(plain, st.just(()), body)] * 6,
        *[st.builds(partial(framed, "headers", "POST", path), headers_for(fingerprint), body)] * 4,
        st.builds(_chunked, to, st.just(()), body, cuts, st.sampled_from([b"", b";a=b"]), st.integers(0, 2)),
        st.builds(_in_pieces, to, body, cuts, st.sampled_from(_PAUSES)),
        st.builds(_broken_off, to, body, st.integers(0, 10_000), st.sampled_from(_PAUSES)),
        st.builds(_wrong_length, to, body, st.sampled_from([-5, -1, 1, 100, 3_000_000])),
        st.one_of(
            st.builds(_odd_framing, to, body, odd),
            st.builds(_odd_chunks, to, st.sampled_from(_CHUNKS)),
            st.builds(_pipelined, to, body, body),
            st.builds(_upgrade, to, body, st.sampled_from([b"websocket", b"h2c", b"x"])),
        ),
    )


def _elsewhere() -> "st.SearchStrategy[Attempt]":
    """Other methods, other paths, other protocols, and the routes without a body."""
    paths = st.sampled_from([*TEXT_KEYS, "/rerank", *GET_PATHS, *_ODD_PATHS])
    return st.one_of(
        *[st.sampled_from(GET_PATHS).map(lambda path: framed("get", "GET", path, (), b""))] * 3,
        st.builds(
            lambda method, path, body: framed("elsewhere", method, path, (), body),
            st.sampled_from(_METHODS), paths, st.sampled_from([b"", b'{"inputs": "a"}']),
        ),
        st.builds(
            lambda body: framed("rerank", "POST", "/rerank", (), body),
            st.just(b'{"query": "a", "texts": ["b"]}') | bodies("texts"),
        ),
        st.sampled_from(_NO_HTTP).map(_no_http),
        st.binary(min_size=1, max_size=60).map(_no_http),
    )  # fmt: skip


# Shares of the batches.
_LARGE, _ELSEWHERE = 0.1, 0.2


def own_batch(fingerprint: str, number: int, count: int) -> list[Attempt]:
    """Batch `number` of our own generators, of at most `count` requests; the same for the same number."""
    dice = random.Random(number)
    path, kind = dice.choice(list(TEXT_KEYS)), dice.random()
    if kind < _LARGE:
        large = st.builds(partial(framed, "large", "POST", path, ()), large_bodies(TEXT_KEYS[path]))
        heads = st.builds(
            _large_head, st.just(path), st.sampled_from([60_000, 300_000, 3_000_000]), st.booleans()
        )
        # As many would be gigabytes.
        return drawn(large | large | large | heads, number, max(1, count // 10))
    if kind < _LARGE + _ELSEWHERE:
        return drawn(_elsewhere(), number, count)
    return drawn(_strategy(path, fingerprint), number, count)
