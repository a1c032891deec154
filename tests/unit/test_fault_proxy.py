"""What the fault proxy makes of bytes, however they are cut into chunks."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.testbed.fault_proxy import GrpcRequests, HttpRequests, split_frames

REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /b HTTP/1.1\r\ncontent-length: 11\r\n\r\nGET / HTTP/",
    b"POST /c HTTP/1.1\r\nContent-Length: 0\r\nX: y\r\n\r\n",
    b"POST /d HTTP/1.1\r\nContent-Length:4\r\n\r\n\r\n\r\n",
]


def chunks(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The content cut into pieces of these sizes, over and over."""
    at, number = 0, 0
    while at < len(content):
        size = sizes[number % len(sizes)]
        yield content[at : at + size]
        at, number = at + size, number + 1


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@given(SIZES, st.lists(st.booleans(), min_size=len(REQUESTS), max_size=len(REQUESTS)))
def test_a_failing_request_is_answered_and_the_others_go_on_as_they_are(
    sizes: list[int], failing: list[bool]
) -> None:
    verdicts = iter(failing)
    requests = HttpRequests(lambda: next(verdicts))
    on, back = map(b"".join, zip(*(requests.sent(c) for c in chunks(b"".join(REQUESTS), sizes)), strict=True))
    assert on == b"".join(r for r, fails in zip(REQUESTS, failing, strict=True) if not fails)
    assert back.count(b"HTTP/1.1 500 ") == sum(failing)


def frame(kind: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + payload


@given(SIZES, st.lists(st.booleans(), min_size=3, max_size=3))
def test_a_failing_call_is_reset_once_and_frames_stay_whole(sizes: list[int], failing: list[bool]) -> None:
    verdicts = iter(failing)
    calls = GrpcRequests(lambda: next(verdicts))
    up = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b"")
    for stream in (1, 3, 5):
        up += frame(1, stream, b"head") + frame(0, stream, b"\x00" * 70) + frame(1, stream, b"trailer")
    on, back = map(b"".join, zip(*(calls.sent(c) for c in chunks(up, sizes)), strict=True))
    assert on == up
    resets, rest = split_frames(back)
    assert rest == b""
    expected = [stream for stream, fails in zip((1, 3, 5), failing, strict=True) if fails]
    assert [(r[3], int.from_bytes(r[5:9], "big")) for r in resets] == [(3, stream) for stream in expected]
    down = frame(1, 1, b"head") + frame(0, 1, b"x" * 90) + frame(1, 1, b"end")
    passed = [calls.answered(c) for c in chunks(down, sizes)]
    assert b"".join(passed) == down
    assert all(split_frames(part)[1] == b"" for part in passed)
