"""A load on an encoder from a process of its own: `python -m benchmarks.encoder_load --help`.

It costs the server's cores as little as Python can: requests are prepared beforehand, answers are parsed by httptools
and not looked into. With --rate requests come at random moments (Poisson) whether or not earlier ones are answered,
and the time of each counts from the moment at which it was due. Standard output is one JSON document.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import numpy as np
import uvloop
from pydantic import BaseModel


@dataclass
class Tally:
    """What came back: seconds of each answer with status 200, and how many of each status; -1 for a lost one."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, status: int, seconds: float) -> None:
        """One answer."""
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(seconds)

    def told(self, elapsed: float) -> "Told":
        """The figures of a run of so many seconds."""
        p50, p95, p99 = np.percentile(np.array(self.seconds or [0.0]) * 1000, (50, 95, 99))
        return Told(
            answers=len(self.seconds),
            per_second=len(self.seconds) / elapsed,
            statuses=dict(sorted(self.statuses.items())),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
        )


class Told(BaseModel):
    """What a run tells: `answers` with status 200, of which the times in milliseconds are."""

    answers: int
    per_second: float
    statuses: dict[int, int]
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        # uvloop's are no asyncio.Transport, though they can what those can.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """From httptools."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """From asyncio."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(-1)

    @property
    def lost(self) -> bool:
        """Whether it must be opened anew."""
        return self._transport is None

    async def ask(self, request: bytes) -> int:
        """The status of the answer, -1 where the connection ended first."""
        if self._transport is None:
            return -1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


class Load:
    """Asks one prepared request after the other, over as many connections as are needed."""

    def __init__(self, host: str, port: int, requests: Sequence[bytes]) -> None:
        self._host, self._port, self._requests = host, port, requests
        self._free: deque[Connection] = deque()
        self._next = 0

    async def closed(self, concurrency: int, seconds: float) -> tuple[Tally, float]:
        """So many askers, each with the next request when it has its answer."""
        tally, began = Tally(), time.perf_counter()
        until = began + seconds

        async def ask() -> None:
            while time.perf_counter() < until:
                await self._one(tally, time.perf_counter())

        await asyncio.gather(*(ask() for _ in range(concurrency)))
        return tally, time.perf_counter() - began

    async def open(self, rate: float, seconds: float, seed: int) -> tuple[Tally, float]:
        """Requests at random moments, `rate` a second on average, whatever the answers do."""
        due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, round(rate * seconds)))
        tally, began = Tally(), time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for moment in due:
                if (wait := began + moment - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                tasks.create_task(self._one(tally, began + float(moment)))
        return tally, time.perf_counter() - began

    async def _one(self, tally: Tally, due: float) -> None:
        self._next = (self._next + 1) % len(self._requests)
        connection = self._free.popleft() if self._free else None
        if connection is None or connection.lost:
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, self._host, self._port
            )
        status = await connection.ask(self._requests[self._next])
        tally.add(status, time.perf_counter() - due)
        self._free.append(connection)


def prepared(url: str, bodies: Sequence[bytes], headers: Sequence[str]) -> tuple[str, int, list[bytes]]:
    """Host, port, and the requests as they go over the wire."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    fixed = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {host}:{port}", "Content-Type: application/json"]
    head = "\r\n".join([*fixed, *headers])
    return host, port, [f"{head}\r\nContent-Length: {len(b)}\r\n\r\n".encode() + b for b in bodies]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encoder_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--url", required=True, help="of the route, for example http://127.0.0.1:8080/embed")
    add("--bodies", type=Path, required=True, help="file with a JSON list of bodies")
    add("--header", action="append", default=[], help="more of them, for example 'Accept: application/json'")
    add("--concurrency", type=int, default=64, help="askers, where there is no --rate (default: 64)")
    add("--rate", type=float, help="requests a second, at random moments")
    add("--seconds", type=float, default=10.0, help="(default: 10)")
    add("--seed", type=int, default=1, help="of the random moments")
    chosen = parser.parse_args()
    bodies = [json.dumps(body, ensure_ascii=False).encode() for body in json.loads(chosen.bodies.read_text())]
    load = Load(*prepared(chosen.url, bodies, chosen.header))

    async def run() -> tuple[Tally, float]:
        if chosen.rate:
            return await load.open(chosen.rate, chosen.seconds, chosen.seed)
        return await load.closed(chosen.concurrency, chosen.seconds)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tally, elapsed = runner.run(run())
    sys.stdout.write(tally.told(elapsed).model_dump_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
