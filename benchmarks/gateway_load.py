"""A load of searches on a gateway from a process of its own: `python -m benchmarks.gateway_load --help`.

So many askers one query after the other (--concurrency); standard output is one JSON document. Or, with --rate, queries
at even moments whether or not earlier ones are answered; then each answer is a JSON line of --log, and the time of each
counts from the moment at which it was due. SIGTERM ends that.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
import uvloop
from pydantic import BaseModel
from yarl import URL

from benchmarks.encoder_load import Load

K = 10
TIMEOUT_SECONDS = 10.0


class Reply(BaseModel):
    """One answer: when it was due (time.monotonic), how long it took from then, what came; status 0 for none."""

    at: float
    seconds: float
    status: int
    path: str = ""
    degraded: list[str] = []
    hits: int = 0


def addresses(queries: list[str]) -> list[str]:
    """Path and parameters of each query."""
    return [f"/search?q={quote(query)}&k={K}&mode=fused" for query in queries]


def closed(url: str, queries: list[str]) -> Load:
    """The load of --concurrency: requests are prepared, answers are not looked into."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    requests = [f"GET {at} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode() for at in addresses(queries)]
    return Load(host, port, requests)


async def open_load(url: str, queries: list[str], rate: float, log: Path) -> None:
    """Until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    urls = [URL(url + at, encoded=True) for at in addresses(queries)]
    began, sent = time.monotonic(), 0
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    with log.open("wb") as output:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session,
            asyncio.TaskGroup() as tasks,
        ):

            async def ask(due: float, address: URL) -> None:
                reply = Reply(at=due, seconds=0.0, status=0)
                try:
                    async with session.get(address) as response:
                        body = orjson.loads(await response.read())
                        reply.status = response.status
                    reply.path, reply.degraded = body.get("path", ""), body.get("degraded", [])
                    reply.hits = len(body.get("hits", ()))
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    reply.status = 0
                reply.seconds = time.monotonic() - due
                output.write(reply.model_dump_json().encode() + b"\n")

            while not stopping.is_set():
                due = began + sent / rate
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                tasks.create_task(ask(due, urls[sent % len(urls)]))
                sent += 1


async def _main(chosen: argparse.Namespace) -> None:
    queries = json.loads(chosen.queries.read_text())
    if chosen.rate:
        await open_load(chosen.url, queries, chosen.rate, chosen.log)
        return
    load = closed(chosen.url, queries)
    await load.closed(chosen.concurrency, min(1.0, chosen.seconds))
    tally, elapsed = await load.closed(chosen.concurrency, chosen.seconds)
    sys.stdout.write(tally.told(elapsed).model_dump_json() + "\n")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, help="the gateway's")
    parser.add_argument("--queries", type=Path, required=True, help="JSON list of queries")
    parser.add_argument("--concurrency", type=int, default=1, help="queries under way (default: 1)")
    parser.add_argument("--seconds", type=float, default=8.0, help="(default: 8)")
    parser.add_argument("--rate", type=float, default=0.0, help="queries a second, until SIGTERM")
    parser.add_argument("--log", type=Path, default=Path("replies.jsonl"), help="file to write, with --rate")
    uvloop.run(_main(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
