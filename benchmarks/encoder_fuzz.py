"""A hundred thousand requests that no client should send, on a running encoder: `python -m benchmarks.encoder_fuzz`.

A third is what schemathesis makes of /openapi.json, the rest comes from generators that know where servers hurt; several
connections at once send them. Every answer must be a documented one, of the documented shape. Meanwhile a canary
embeds one text again and again and must get the same vector each time, and afterwards the encoder must be as it was:
ready, no larger, nothing in its queue, no socket open. The same --seed sends the same requests.
"""

import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
from pydantic import JsonValue

from benchmarks.encoder_fuzz_run import Outcome, console, fuzz
from benchmarks.report import RESULTS, Row, write
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact

MOST_GROWTH = 1.2
_FAILURES_TOLD = 20


def rows_of(outcome: Outcome, requests: int) -> list[Row]:
    """What was asked for, and what came."""
    early, last = outcome.floors_mib
    wrong = sum(count for kind, count in outcome.canary.items() if kind not in ("same", "429", "503"))
    return [
        Row.at_least("fuzz_requests", outcome.asked, requests, unit="requests"),
        Row.at_most("fuzz_undocumented", outcome.failed, 0, unit="answers"),
        Row.at_most("fuzz_canary_wrong", wrong, 0, unit="answers"),
        Row.compare(
            "fuzz_rss_growth", last, "in the second fifth", early,
            unit="MiB", goal=MOST_GROWTH, better="lower",
        ),
        Row.at_most("fuzz_inflight_tokens", outcome.inflight, 0, unit="tokens"),
        Row.at_most("fuzz_open_sockets", outcome.sockets_left, 0, unit="sockets"),
        Row.at_least("fuzz_ready_afterwards", int(outcome.ready), 1),
    ]  # fmt: skip


def notes_of(outcome: Outcome, seed: int, seconds: float) -> dict[str, JsonValue]:
    """What the rows don't say: the statuses, how long the canary waited, and failures to try again."""
    p50, p99, longest = np.percentile(outcome.canary_ms, (50, 99, 100)).tolist()
    failures = sorted(outcome.failures.items(), key=lambda one: -one[1][0])[:_FAILURES_TOLD]
    return {
        "seed": seed,
        "seconds": round(seconds),
        "statuses": {source: dict(sorted(some.items())) for source, some in outcome.statuses.items()},
        "most_resident_mib": outcome.most_mib,
        "canary": dict(outcome.canary),
        "canary_ms": {"p50": round(p50, 1), "p99": round(p99, 1), "longest": round(longest, 1)},
        "failures": [
            {"source": source, "wrong": wrong, "times": times, "smallest": attempt.curl()}
            for (source, wrong), (times, attempt) in failures
        ],
    }


@click.command(help=__doc__, epilog="example: python -m benchmarks.encoder_fuzz --requests 5000 --seed 7")
@click.option("--requests", default=100_000, show_default=True, help="to send, at least")
@click.option("--seed", type=int, help="of the requests; by default another each time")
@click.option("--schema/--no-schema", default=True, help="with those of schemathesis (default), or without")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="folder for the figures")
def main(requests: int, seed: int | None, schema: bool, results: Path) -> None:
    """Command line."""
    chosen = random.SystemRandom().randrange(10**9) if seed is None else seed
    console.print(f"seed {chosen}", highlight=False)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        weights = WeightsFolder(Path(home), tiny_artefact(Path(home)))
        with EncoderServer(weights, Path(home)) as server:
            outcome = fuzz(server, requests, chosen, pool, schema=schema)
    rows = rows_of(outcome, requests)
    write("encoder_fuzz", rows, notes_of(outcome, chosen, time.monotonic() - began), results)
    if not all(row.met for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
