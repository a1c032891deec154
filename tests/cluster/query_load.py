"""Constant queries to a gateway while something else goes on, and what came of each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx

from demo.queries import QUERIES
from tests.cluster.index_bed import Bed


@dataclass(frozen=True)
class Answered:
    """One query: when it was asked (time.monotonic), how it ended, and from which release. `status` 0: no answer."""

    asked: float
    seconds: float
    status: int
    release: str = ""
    fingerprint: str = ""
    hits: int = 0
    degraded: tuple[str, ...] = ()


@dataclass
class QueryLoad:
    """What was asked so far."""

    answers: list[Answered] = field(default_factory=list)

    @property
    def failed(self) -> list[Answered]:
        """Queries that no release answered: without a 200, or found by their words only."""
        return [answer for answer in self.answers if answer.status != 200 or "semantic" in answer.degraded]

    def releases(self) -> Counter[str]:
        """How many answers each release gave."""
        return Counter(answer.release for answer in self.answers if answer.status == 200)

    def pairs(self) -> set[tuple[str, str]]:
        """(release, fingerprint) as told by the answers."""
        return {(answer.release, answer.fingerprint) for answer in self.answers if answer.status == 200}


@contextmanager
def constant_queries(bed: Bed, name: str, threads: int = 2) -> Iterator[QueryLoad]:
    """Each thread asks one query after another until the block ends."""
    load, stop = QueryLoad(), threading.Event()
    with bed.gateway(name) as gateway:
        base = str(gateway.base_url)

        def ask() -> None:
            with httpx.Client(base_url=base, timeout=10, trust_env=False) as client:
                for query in cycle(QUERIES):
                    if stop.is_set():
                        return
                    load.answers.append(_asked(client, query))

        workers = [threading.Thread(target=ask, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield load
        finally:
            stop.set()
            for worker in workers:
                worker.join(30)


def _asked(client: httpx.Client, query: str) -> Answered:
    began = time.monotonic()
    try:
        answer = client.get("/search", params={"q": query, "k": 5})
    except httpx.TransportError:
        return Answered(began, time.monotonic() - began, 0)
    seconds = time.monotonic() - began
    if answer.status_code != 200:
        return Answered(began, seconds, answer.status_code)
    body: dict[str, Any] = answer.json()
    return Answered(
        began,
        seconds,
        200,
        body["release"],
        body["fingerprint"],
        len(body["hits"]),
        tuple(body["degraded"]),
    )
