"""Five times as many queries as the encoder can compute, for a minute: `python -m benchmarks.encoder_overload`.

Queries come at random moments whether or not earlier ones are answered, and wait half a second each. What can't be
computed in time should be refused early and cheaply, so that what is admitted is answered in time and the cores go on.
The load takes its share of the same cores.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import httpx
from pydantic import JsonValue
from rich.console import Console
from search_plane.encoder.tokenising import TextTokeniser
from search_plane.release.embedding_wire import TIMEOUT_HEADER

from benchmarks.encoder_servers import asked, ours
from benchmarks.encoder_texts import queries_of
from benchmarks.report import RESULTS, Row, write
from tests.testbed.weights.bge import bge_weights

TIMES = 5.0
WAIT_MS = 500
LEAST_GOODPUT = 0.9
MOST_RECOVERY_SECONDS = 2.0
MOST_GROWTH = 1.2

console = Console(stderr=True)


class Memory:
    """The most resident memory that was seen, in MiB, asked four times a second."""

    def __init__(self, resident: Callable[[], int]) -> None:
        self.most = resident()
        self._resident = resident
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self.most = max(self.most, self._resident())


def recovered_after(url: str, query: str, quick_ms: float) -> float:
    """Seconds until one query alone is answered within `quick_ms` again."""
    began = time.perf_counter()
    with httpx.Client(timeout=10, trust_env=False) as client:
        while time.perf_counter() < began + 60:
            asked_at = time.perf_counter()
            answer = client.post(url, json={"inputs": query})
            took_ms = (time.perf_counter() - asked_at) * 1000
            if answer.status_code == 200 and took_ms <= quick_ms:
                break
        return time.perf_counter() - began


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, show_default=True, help="of overload")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="folder for the figures")
def main(seconds: float, results: Path) -> None:
    """Command line."""
    weights = bge_weights()
    queries = queries_of(TextTokeniser(weights.path / "tokenizer.json", weights.identity.max_tokens), 512)
    with tempfile.TemporaryDirectory() as home, ours(weights, Path(home)) as server:
        requests = [[query] for query in queries]
        console.print("capacity: 64 at once", highlight=False)
        capacity = asked(server, requests, Path(home), "--seconds", 10, "--concurrency", 64)
        before = server.resident()
        console.print(f"{TIMES:.0f} times {capacity.per_second:.0f} queries a second", highlight=False)
        with Memory(server.resident) as memory:
            told = asked(
                server, requests, Path(home), "--seconds", seconds, "--rate", TIMES * capacity.per_second,
                "--header", f"{TIMEOUT_HEADER}: {WAIT_MS}", refusals=True,
            )  # fmt: skip
            recovery = recovered_after(server.url, queries[0], 2 * capacity.p50_ms)
    rows = [
        Row.compare(
            "overload_goodput", told.per_second, "capacity at 64 at once", capacity.per_second,
            unit="texts/s", goal=LEAST_GOODPUT,
        ),
        Row.compare(
            "overload_p99", told.p99_ms, "what a caller waits", float(WAIT_MS),
            unit="ms", goal=1.0, better="lower",
        ),
        Row.compare(
            "overload_memory", float(memory.most), "before", float(before),
            unit="MiB", goal=MOST_GROWTH, better="lower",
        ),
        Row.at_most("recovery_seconds", recovery, MOST_RECOVERY_SECONDS, unit="s"),
    ]  # fmt: skip
    notes: dict[str, JsonValue] = {
        "statuses": {str(status): count for status, count in told.statuses.items()},
        "seconds": seconds,
    }
    write("encoder_overload", rows, notes, results)


if __name__ == "__main__":
    main()
