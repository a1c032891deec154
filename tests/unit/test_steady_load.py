"""The verdict on an answer: each kind of bad answer is told from a whole one."""

from typing import Any

import numpy as np
import pytest

from tests.integration.gateway_bed import Release
from tests.integration.steady_load import Judge, K, Reply, Verdict
from tests.unit.gateway.snapshots import snapshot

QUERY = "大米"
ROWS = 2 * K
# Row n has the cosine 1 - n/100 with the query, but the last two, which are equal to row K-1.
COSINES = [1 - min(row, K - 1) / 100 if row >= ROWS - 2 else 1 - row / 100 for row in range(ROWS)]


def release() -> Release:
    vectors = np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in COSINES], dtype=np.float32)
    query = {QUERY: np.array([1.0, 0.0], dtype=np.float32)}
    return Release(snapshot(), tuple(f"p{row}" for row in range(ROWS)), vectors, query)


def reply(rows: list[int], status: int = 200, **changes: Any) -> Reply:
    hits = [{"id": f"p{row}", "score": COSINES[row]} for row in rows]
    named = release().snapshot
    body = {"release": named.release, "fingerprint": named.fingerprint, "degraded": [], "hits": hits}
    body["path"] = "semantic"
    return Reply(0.0, 0.01, QUERY, status, body | changes)


NEAREST = list(range(K))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (reply(NEAREST), "whole"),
        (reply([*NEAREST[:-1], ROWS - 1]), "whole"),
        (reply([*NEAREST[:-1], K]), "wrong"),
        (reply([*NEAREST[:-1], K], degraded=["vectors"]), "marked"),
        (reply(NEAREST[:-1]), "short"),
        (reply([]), "short"),
        (reply([], degraded=["vectors"]), "marked"),
        (reply([K], path="keyword", degraded=["semantic"]), "words"),
        (reply(NEAREST, path="keyword"), "mixed"),
        (reply(NEAREST, status=503), "failed"),
        (reply(NEAREST, status=0), "failed"),
        (reply(NEAREST, release="r-another"), "mixed"),
        (reply(NEAREST, fingerprint="sha256:another"), "mixed"),
        (reply(NEAREST, hits=[{"id": "p0", "score": COSINES[1]}]), "mixed"),
    ],
)
def test_verdict(given: Reply, verdict: Verdict) -> None:
    assert Judge(release()).verdict(given) == verdict
