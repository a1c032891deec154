"""The fuzz run's judge: it must see what is wrong, or the run proves nothing."""

import re
from typing import Any

import numpy as np
import orjson
import pytest

from benchmarks.encoder_fuzz_client import Answer
from benchmarks.encoder_fuzz_judge import complaint, documented
from benchmarks.encoder_fuzz_requests import Attempt
from benchmarks.encoder_fuzz_wire import framed, own_batch

ROUTES = documented(
    {
        "paths": {
            path: {"post": {"responses": {status: {} for status in ("200", "400", "422", "429", "431")}}}
            for path in ("/embed", "/v1/embeddings", "/tokenize")
        }
    }
)
TEI = {"error": "because", "error_type": "validation"}
UNIT = np.eye(4)[:2].tolist()


def asked(path: str = "/embed", body: object = None, method: str = "POST", **more: Any) -> Attempt:
    """A request for two texts, if nothing else is said."""
    key = "input" if path.startswith("/v1") else "inputs"
    content = orjson.dumps({key: ["a", "b"]} if body is None else body)
    return Attempt("test", method, path, content, **more)


def said(status: int, content: object, **headers: str) -> Answer:
    """An answer in JSON, or of bytes."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Answer(status, {"content-type": "application/json"} | headers, body)


BINARY = {"content-type": "application/octet-stream;dtype=float32"}
TOKEN = {"id": 1, "text": "a", "special": False, "start": 0, "stop": 1}


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        (asked(), said(200, UNIT)),
        (asked(), said(200, np.eye(4, dtype="<f4")[:2].tobytes(), **BINARY)),
        (asked(body={"inputs": "a", "normalize": False}), said(200, [[3, 0, 0, 0]])),
        (asked(), said(422, TEI)),
        (asked(), said(429, TEI, **{"retry-after": "1"})),
        (asked(http=False), said(400, TEI)),
        (asked(http=False), None),
        (asked(breaks_off=True), None),
        (asked(method="GET"), said(405, TEI)),
        (asked("/v1/embeddings"), said(422, {"error": {"message": "m", "type": "t"}})),
        (asked("/v1/embeddings"), said(200, {"data": [{"embedding": row} for row in UNIT]})),
        (asked("/tokenize"), said(200, [[TOKEN], []])),
        (asked("/openapi.json", method="HEAD"), said(200, b"")),
    ],
)
def test_what_is_documented_passes(attempt: Attempt, answer: Answer | None) -> None:
    assert complaint(attempt, answer, ROUTES, 4) is None


@pytest.mark.parametrize(
    ("attempt", "answer", "says"),
    [
        (asked(), None, "closed without an answer"),
        (asked(), said(500, TEI), "status 500 is not documented"),
        (asked(), said(503, TEI), "status 503 is not documented"),
        (asked(), said(400, TEI), "status 400 is not documented"),
        (asked(method="GET"), said(200, {}), "status 200 is not documented"),
        (asked(method="HEAD"), said(200, b""), "status 200 is not documented"),
        (asked("/openapi.json", method="HEAD"), said(200, b"{}"), "a body"),
        (asked("/nowhere"), said(500, TEI), "status 500 is not documented"),
        (asked(), said(422, b"Unprocessable"), "without the documented JSON"),
        (asked(), said(422, {"detail": "x"}), "without the documented JSON"),
        (asked(), said(422, {"error": "", "error_type": "validation"}), "says nothing"),
        (asked(), said(429, TEI), "without Retry-After"),
        (asked("/v1/embeddings"), said(422, TEI), "without OpenAI's shape"),
        (asked(), said(200, UNIT[:1]), r"shape \(1, 4\) for 2 texts"),
        (asked(), said(200, [[0.5, 0, 0, 0], [1, 0, 0, 0]]), "length 0.5"),
        (asked(), said(200, np.full((2, 4), np.nan, "<f4").tobytes(), **BINARY), "not finite"),
        (asked(), said(200, b"\x00" * 9, **BINARY), "without the documented content"),
        (asked(body=[1]), said(200, UNIT), "without the documented content"),
        (asked("/tokenize"), said(200, [[TOKEN]]), "tokens of 1 texts for 2"),
        (asked("/tokenize"), said(200, [[TOKEN | {"stop": -1}], []]), r"a token at 0\.\.-1"),
    ],
)
def test_what_is_not_is_told(attempt: Attempt, answer: Answer | None, says: str) -> None:
    wrong = complaint(attempt, answer, ROUTES, 4)
    assert wrong is not None
    assert re.search(says, wrong), wrong


def test_a_seed_makes_the_same_requests_again() -> None:
    for number in range(30):
        first, again = (own_batch("sha256:f", number, 20) for _ in range(2))
        assert first == again
        assert first
    assert own_batch("sha256:f", 1, 20) != own_batch("sha256:f", 2, 20)


def test_a_failure_can_be_sent_again_by_curl() -> None:
    attempt = framed("body", "POST", "/embed", ((b"Accept", b"*/*"),), '{"inputs": "米\'"}'.encode())
    assert attempt.curl() == (
        """curl -X POST "$ENCODER"/embed -H 'Accept: */*' --data-binary '{"inputs": "米'"'"'"}'"""
    )
