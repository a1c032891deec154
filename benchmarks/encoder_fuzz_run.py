"""One fuzz run on a running encoder: many connections that ask, a canary beside them, and the encoder at rest after."""

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import orjson
import uvloop
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.encoder_fuzz_client import ANSWER_SECONDS, Asker
from benchmarks.encoder_fuzz_judge import Documented, complaint, documented
from benchmarks.encoder_fuzz_requests import Attempt
from benchmarks.encoder_fuzz_wire import own_batch
from tests.testbed.plane import EncoderServer

BATCH = 250
BATCHES_AHEAD = 3
CONNECTIONS = 16
SCHEMA_SHARE = 1 / 3
LEAST_COSINE = 0.9999
CANARY_TEXT = "适合送老人的保健品"
CANARY_SECONDS = 0.1
AT_REST_SECONDS = 30.0

console = Console(stderr=True)
# Batch `number` of requests.
Generate = Callable[[int], list[Attempt]]


@dataclass
class Outcome:
    """What a run found. `failures`: the smallest attempt of each (source, complaint), and how many there were."""

    asked: int = 0
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    failures: dict[tuple[str, str], tuple[int, Attempt]] = field(default_factory=dict)
    canary: Counter[str] = field(default_factory=Counter)
    canary_ms: list[float] = field(default_factory=list)
    resident_mib: list[int] = field(default_factory=list)
    most_mib: int = 0
    inflight: float = 0.0
    sockets_left: int = 0
    ready: bool = False

    @property
    def floors_mib(self) -> tuple[int, int]:
        """The least memory resident after a batch, in the second fifth of the batches and in the last.

        Buffers of large requests come and go; what leaks never goes, so the floor tells.
        """
        fifth = max(1, len(self.resident_mib) // 5)
        return min(self.resident_mib[fifth : 2 * fifth], default=0), min(
            self.resident_mib[-fifth:], default=0
        )

    @property
    def failed(self) -> int:
        """Requests that were not answered as documented."""
        return sum(count for count, _ in self.failures.values())

    def judge(self, attempt: Attempt, status: str, wrong: str | None) -> None:
        """One answer."""
        self.asked += 1
        self.statuses.setdefault(attempt.source, Counter())[status] += 1
        if wrong is not None:
            count, smallest = self.failures.get((attempt.source, wrong), (0, attempt))
            self.failures[attempt.source, wrong] = (count + 1, min(smallest, attempt, key=lambda a: a.size))


class Fuzz:
    """One run on one server."""

    def __init__(self, server: EncoderServer, seed: int) -> None:
        self._server = server
        self._seed = seed
        self._routes: Documented = documented(httpx.get(f"{server.url}/openapi.json").json())
        # One for all, for making one costs more than a question; it keeps no connection.
        self._http = httpx.AsyncClient(
            base_url=server.url,
            timeout=ANSWER_SECONDS,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._rests_with = self._sockets()
        self.outcome = Outcome()

    async def run(self, requests: int, generate: Generate, pool: Executor) -> Outcome:
        """Sends at least so many requests."""
        baseline = await self._canary_vector()
        stop = asyncio.Event()
        canary = asyncio.create_task(self._canary(baseline, stop))
        batches = self._batches(generate, pool)
        try:
            await self._send(batches, requests)
        finally:
            stop.set()
            await canary
            await batches.aclose()
        await self._come_to_rest()
        await self._http.aclose()
        self.outcome.most_mib = self._most_resident()
        return self.outcome

    async def _batches(self, generate: Generate, pool: Executor) -> AsyncGenerator[list[Attempt]]:
        """Batches in their order, the next ones being made while one is sent."""
        loop = asyncio.get_running_loop()
        numbers = itertools.count(self._seed)
        ahead = deque(loop.run_in_executor(pool, generate, next(numbers)) for _ in range(BATCHES_AHEAD))
        try:
            while True:
                yield await ahead.popleft()
                ahead.append(loop.run_in_executor(pool, generate, next(numbers)))
        finally:
            for waiting in ahead:
                waiting.cancel()

    async def _send(self, batches: AsyncIterator[list[Attempt]], until: int) -> None:
        """Sends batches over all connections until so many requests were asked, and awaits their answers."""
        waiting: asyncio.Queue[Attempt | None] = asyncio.Queue(2 * BATCH)
        sent = self.outcome.asked
        async with asyncio.TaskGroup() as askers:
            for _ in range(CONNECTIONS):
                askers.create_task(self._ask(waiting))
            while sent < until:
                batch = await anext(batches)
                for attempt in batch:
                    await waiting.put(attempt)
                sent += len(batch)
                self.outcome.resident_mib.append(self._resident())
                told = f"{sent:,} requests, {self.outcome.failed} not as documented, {self._resident()} MiB"
                console.print(f"{told}, canary {dict(self.outcome.canary)}", highlight=False)
            for _ in range(CONNECTIONS):
                await waiting.put(None)

    async def _ask(self, waiting: "asyncio.Queue[Attempt | None]") -> None:
        asker = Asker("127.0.0.1", self._server.port)
        try:
            while (attempt := await waiting.get()) is not None:
                await self._one(asker, attempt)
        finally:
            asker.close()

    async def _one(self, asker: Asker, attempt: Attempt) -> None:
        try:
            answer = await asker.ask(attempt)
        except TimeoutError:
            self.outcome.judge(attempt, "none in time", f"no answer within {ANSWER_SECONDS:.0f} s")
            return
        except OSError as error:
            self.outcome.judge(attempt, "refused", f"no connection: {error}")
            return
        status = "closed" if answer is None else str(answer.status)
        wrong = complaint(attempt, answer, self._routes, self._server.identity.dimension)
        self.outcome.judge(attempt, "gone" if attempt.breaks_off else status, wrong)

    async def _canary(self, baseline: NDArray[np.float64], stop: asyncio.Event) -> None:
        """Embeds the known text until told to stop."""
        while not stop.is_set():
            began = time.perf_counter()
            try:
                vector = await self._canary_vector()
                same = float(vector @ baseline) >= LEAST_COSINE
                self.outcome.canary["same" if same else "other vector"] += 1
            except httpx.HTTPStatusError as refused:
                self.outcome.canary[str(refused.response.status_code)] += 1
            except httpx.TransportError as error:
                self.outcome.canary[type(error).__name__] += 1
            self.outcome.canary_ms.append((time.perf_counter() - began) * 1000)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CANARY_SECONDS)

    async def _canary_vector(self) -> NDArray[np.float64]:
        answer = await self._http.post("/embed", json={"inputs": CANARY_TEXT})
        return np.array(orjson.loads(answer.raise_for_status().content)[0], np.float64)

    async def _come_to_rest(self) -> None:
        """Waits until nothing is computed and no socket is left; what remains at the deadline is in the outcome."""
        outcome, until = self.outcome, time.monotonic() + AT_REST_SECONDS
        while True:
            health = await self._http.get("/health")
            outcome.ready = health.status_code == 200
            outcome.inflight = await self._inflight()
            outcome.sockets_left = max(0, self._sockets() - self._rests_with)
            if time.monotonic() > until or (
                outcome.ready and not outcome.inflight and not outcome.sockets_left
            ):
                return
            await asyncio.sleep(0.2)

    async def _inflight(self) -> float:
        lines = (await self._http.get("/metrics")).text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("encoder_inflight_tokens "))

    def _sockets(self) -> int:
        folder, found = Path(f"/proc/{self._pid}/fd"), 0
        for entry in folder.iterdir():
            with contextlib.suppress(OSError):
                found += os.readlink(entry).startswith("socket:")
        return found

    def _resident(self) -> int:
        assert self._server.process is not None
        return self._server.process.resident_mib

    def _most_resident(self) -> int:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10

    @property
    def _pid(self) -> int:
        assert self._server.process is not None
        return self._server.process.pid


def generator(fingerprint: str, openapi: str | None, batch: int, number: int) -> list[Attempt]:
    """Batch `number`, of at most `batch` requests; a third of all is schemathesis's where `openapi` (JSON) is given."""
    if openapi is not None and random.Random(number + 1).random() < SCHEMA_SHARE:
        # Only here, so that the rest runs without it.
        from benchmarks.encoder_fuzz_schema import schema_batch

        return schema_batch(openapi, number, batch)
    return own_batch(fingerprint, number, batch)


def fuzz(
    server: EncoderServer, requests: int, seed: int, pool: Executor, *, schema: bool, batch: int = BATCH
) -> Outcome:
    """Sends at least so many requests to a running encoder, a third of them schemathesis's if `schema`.

    A `batch` is of one kind: smaller ones reach more kinds with fewer requests, and cost more each.
    """
    openapi = httpx.get(f"{server.url}/openapi.json").text if schema else None
    generate = partial(generator, server.identity.fingerprint(), openapi, batch)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Fuzz(server, seed).run(requests, generate, pool))
