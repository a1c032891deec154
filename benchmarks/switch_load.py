"""A constant query load in a process of its own: `python -m benchmarks.switch_load --help`.

Each worker asks one query after the other over a kept connection, which it gives up now and then, so that the Service
spreads the load over the gateways that are there. A GET on a kept connection that the server has just closed is sent
once more by the client, as RFC 9110 (9.2.2) lets it; nothing else is. Standard output tells one JSON line a second.
"""

import argparse
import asyncio
import json
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import numpy as np
import orjson
import uvloop
from yarl import URL

from benchmarks.switch_log import ANSWER, BY_WORDS, CATALOGUE_AWAY, LESS_THAN_WHOLE, K, sku_number

TIMEOUT_SECONDS = 5.0
# Requests on one connection; then the Service chooses a gateway anew.
KEPT_FOR = 200
_BLOCK = 512
_BITS = {"catalogue": CATALOGUE_AWAY, "semantic": BY_WORDS}
_FAULTS_TOLD = 50


class AnswerLog:
    """Appends records to a file in blocks."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._block = np.zeros(_BLOCK, dtype=ANSWER)
        self._used = 0
        self.count = 0
        self.failed = 0
        self.recent: list[float] = []

    def add(self, started: float, query: int, status: int, body: bytes) -> None:
        """One answer that is complete now; a body that is none of ours counts as a failure."""
        record = self._block[self._used]
        record["started"], record["seconds"] = started, time.monotonic() - started
        record["query"], record["status"] = query, status
        record["hits"] = 0
        record["release"], record["degraded"], record["dropped"] = b"", 0, 0
        if status == 200:
            try:
                self._fill(record, orjson.loads(body))
            except (ValueError, KeyError, TypeError):
                record["status"] = -1
        self.failed += bool(record["status"] != 200)
        self.recent.append(float(record["seconds"]))
        self.count += 1
        self._used += 1
        if self._used == _BLOCK:
            self.flush()

    @staticmethod
    def _fill(record: Any, answer: dict[str, Any]) -> None:
        hits = answer["hits"][:K]
        record["ids"][: len(hits)] = [sku_number(hit["id"]) for hit in hits]
        record["scores"][: len(hits)] = [hit["score"] for hit in hits]
        record["release"] = answer["release"].encode()
        record["degraded"] = sum({_BITS.get(part, LESS_THAN_WHOLE) for part in answer["degraded"]})
        record["dropped"] = answer["dropped"]
        record["hits"] = len(hits)

    def flush(self) -> None:
        """Writes what is held."""
        self._block[: self._used].tofile(self._file)
        self._file.flush()
        self._used = 0


class Load:
    """`concurrency` workers; `rate` bounds queries per second in all, 0 leaves them to the answers' speed."""

    def __init__(self, url: str, queries: list[str], concurrency: int, rate: float, log: AnswerLog) -> None:
        self._urls = [
            URL(f"{url}/search?q={quote(query)}&k={K}&mode=semantic&understand=false", encoded=True)
            for query in queries
        ]
        self._concurrency = concurrency
        self._pause = concurrency / rate if rate else 0.0
        self._log = log
        self._faults = 0
        self._next = 0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stopping` is set."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(self._concurrency):
                tasks.create_task(self._work(session, number))
            tasks.create_task(self._tell())
        self._log.flush()

    async def _work(self, session: aiohttp.ClientSession, number: int) -> None:
        # Not all workers shall give their connections up at the same moment.
        asked = number * KEPT_FOR // max(1, self._concurrency)
        due = time.monotonic() + self._pause * number / self._concurrency
        while not self.stopping.is_set():
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            query = self._next = (self._next + 1) % len(self._urls)
            asked += 1
            await self._ask(session, query, last=asked % KEPT_FOR == 0)
            due = max(due + self._pause, time.monotonic())

    async def _ask(self, session: aiohttp.ClientSession, query: int, *, last: bool) -> None:
        headers = {"Connection": "close"} if last else None
        started = time.monotonic()
        try:
            async with session.get(self._urls[query], headers=headers) as response:
                body = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            body, status = f"{type(error).__name__}: {error}".encode(), 0
            # A refused connection comes back at once; a real client waits a moment too.
            await asyncio.sleep(0.05)
        self._log.add(started, query, status, body)
        if status != 200 and self._faults < _FAULTS_TOLD:
            self._faults += 1
            _tell(fault=body[:300].decode(errors="replace"), status=status, at=started)

    async def _tell(self) -> None:
        while not self.stopping.is_set():
            await asyncio.sleep(1.0)
            recent, self._log.recent = self._log.recent, []
            p99 = float(np.percentile(recent, 99)) if recent else None
            _tell(count=self._log.count, failed=self._log.failed, p99=p99)


def _tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _main(chosen: argparse.Namespace) -> None:
    log = AnswerLog(chosen.log)
    load = Load(chosen.url, json.loads(chosen.queries.read_text()), chosen.concurrency, chosen.rate, log)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stopping.set)
    await load.run()
    used = resource.getrusage(resource.RUSAGE_SELF)
    _tell(count=log.count, failed=log.failed, cpu_seconds=used.ru_utime + used.ru_stime, ended=True)


def main() -> int:
    """Command line; SIGTERM ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.switch_load --url http://10.213.79.20 --queries q.json --log a.log",
    )
    parser.add_argument("--url", required=True, help="the gateways' Service")
    parser.add_argument("--queries", type=Path, required=True, help="JSON list of queries")
    parser.add_argument("--log", type=Path, required=True, help="file to write (benchmarks.switch_log)")
    parser.add_argument("--concurrency", type=int, default=4, help="queries under way (default: 4)")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="at most so many a second (default: no bound)"
    )
    uvloop.run(_main(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
