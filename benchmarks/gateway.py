"""The gateway at rising load against the bare calls that it makes: `python -m benchmarks.gateway` (`make bench-gateway`).

Real Milvus and Elasticsearch, the encoder and the gateway as processes of this machine, which the load shares with
them. At 1, 4, 16 and 64 queries at once take turns, each in a process of its own:
- the gateway, mode fused, with its caches off and distinct queries;
- the floor: encode and Milvus beside Elasticsearch, by a bare asyncio loop, the same queries and
  requests to Elasticsearch;
- the floor and what the gateway asks besides: price and stock of the hits.
The breaker's limit and all deadlines are far off: an answer by words alone would be a cheap one, and fails the run.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click
from prometheus_client.parser import text_string_to_metric_families
from pydantic import JsonValue
from rich.console import Console
from search_plane.gateway.candidates import depth_for
from search_plane.release.policy import BreakerPolicy, SearchPolicy

from benchmarks.encoder_load import Told
from benchmarks.gateway_bed import Bed, cpu_seconds, distinct_queries, gateway, gateway_bed
from benchmarks.gateway_floor import Plan
from benchmarks.gateway_plot import plot
from benchmarks.gateway_pods import Cost, pods, pods_table
from benchmarks.gateway_recorder import K, recorded
from benchmarks.report import RESULTS, Row, write
from tests.integration.gateway_bed import GatewayProcess
from tests.testbed.cluster import TestbedError

LEVELS = (1, 4, 16, 64)
MOST_OVERHEAD_MS = 3.0
LEAST_THROUGHPUT = 0.8
RUN_SECONDS = 120.0
PATIENT: Mapping[str, object] = {
    f"{name}_ms": 30_000
    for name in ("encoder_timeout", "milvus_timeout", "es_timeout", "total_timeout", "semantic_wait")
} | {"encoder_hedge_ms": 0, "milvus_hedge_ms": 0}
PATIENT_POLICY = SearchPolicy(breaker=BreakerPolicy(latency_ms=30_000))

console = Console(stderr=True, soft_wrap=True)


@dataclass
class Measured:
    """What each run told, by who (`gateway`, `floor`, `floor and join`) and queries at once; and the gateway's costs."""

    told: dict[tuple[str, int], list[Told]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def at(self, who: str, level: int, what: str) -> float:
        """Median over the rounds."""
        return median(float(getattr(told, what)) for told in self.told[who, level])

    def best(self, who: str) -> float:
        """Queries per second at the level where they are most."""
        return max(self.at(who, level, "per_second") for level in LEVELS)

    def overhead_ms(self, level: int) -> float:
        """Median over the rounds of the difference of the two p50."""
        pairs = zip(self.told["gateway", level], self.told["floor", level], strict=True)
        return median(ours.p50_ms - floor.p50_ms for ours, floor in pairs)


class Bench:
    """The measures of one bed."""

    def __init__(self, bed: Bed, process: GatewayProcess, home: Path, queries: Path, seconds: float) -> None:
        self._bed, self._process, self._seconds = bed, process, seconds
        self._plan = home / "plan.json"
        self._queries = queries
        self.measured = Measured()

    def round(self, backwards: bool) -> None:
        """Every measure once; every other round goes backwards, so that a slow minute meets all."""
        order = ["gateway", "floor", "floor and join"]
        for level in LEVELS:
            for who in reversed(order) if backwards else order:
                before = self._costs()
                told = self._run(who, level)
                if who == "gateway":
                    self._check(told)
                    if level == LEVELS[-1]:
                        for part, used in self._costs().items():
                            self.measured.costs[part].append((used - before[part]) / told.answers)
                self.measured.told[who, level].append(told)
                console.print(
                    f"  {who}, {level} at once: {told.per_second:,.1f} queries/s, p50 {told.p50_ms:,.1f},"
                    f" p95 {told.p95_ms:,.1f}, p99 {told.p99_ms:,.1f} ms",
                    highlight=False,
                )

    def _run(self, who: str, level: int) -> Told:
        options = ["--concurrency", level, "--seconds", self._seconds]
        if who == "gateway":
            module = ["benchmarks.gateway_load", "--url", self._process.url, "--queries", self._queries]
        else:
            module = ["benchmarks.gateway_floor", "--plan", self._plan]
            if who == "floor and join":
                options.append("--join")
        command = [sys.executable, "-m", *module, *options]
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS + self._seconds,
        )
        if done.returncode:
            raise TestbedError(f"{who} at {level} ended with {done.returncode}: {done.stderr[-1000:]}")
        return Told.model_validate_json(done.stdout)

    def _check(self, told: Told) -> None:
        degraded = degraded_answers(self._process.metrics())
        if set(told.statuses) != {200} or degraded:
            raise TestbedError(
                f"answers that are no whole ones: statuses {told.statuses}, degraded {degraded}"
            )

    def _costs(self) -> dict[str, float]:
        return {
            "gateway": self._process.cpu_seconds(),
            **{part: cpu_seconds(pid) for part, pid in self._bed.pids.items()},
        }


def degraded_answers(exposition: str) -> dict[str, float]:
    """Answers with something missing so far, by part."""
    return {
        sample.labels["part"]: sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == "gateway_degraded_answers_total" and sample.value
    }


def rows_of(measured: Measured) -> list[Row]:
    """What was asked for first, then every figure."""
    rows = [
        Row.at_most("p50_overhead_ms", measured.overhead_ms(1), MOST_OVERHEAD_MS, unit="ms"),
        Row.compare(
            "throughput_vs_floor", measured.best("gateway"), "the bare calls", measured.best("floor"),
            unit="queries/s", goal=LEAST_THROUGHPUT,
        ),
        Row.compare(
            "throughput_vs_floor_and_join", measured.best("gateway"), "with price and stock",
            measured.best("floor and join"), unit="queries/s",
        ),
    ]  # fmt: skip
    for what, unit in (("p50_ms", "ms"), ("p95_ms", "ms"), ("p99_ms", "ms"), ("per_second", "queries/s")):
        for level in LEVELS:
            ours, floor = measured.at("gateway", level, what), measured.at("floor", level, what)
            rows.append(Row.compare(f"{what}_at_{level}", ours, "the bare calls", floor, unit=unit))
    return rows


def notes_of(measured: Measured, products: int, queries: int) -> dict[str, JsonValue]:
    """What else a reader wants to know."""
    costs = {part: Cost(median(seconds) * 1000) for part, seconds in measured.costs.items()}
    return {
        "caches": "off (VECTOR_CACHE_ENTRIES=0, RESULT_CACHE_ENTRIES=0), and queries are distinct",
        "products": products,
        "queries": queries,
        "deadlines": "30 s each, no hedging, breaker.latency 30 s: no answer was by words alone",
        "cpu_ms_per_query_at_64": {part: round(cost.cpu_ms, 3) for part, cost in costs.items()},
        "pods_for_10000_per_second": [line.model_dump() for line in pods(costs)],
        "shared": "Milvus, Elasticsearch, encoder, gateway and the load share the machine's cores",
    }


@click.command(help=__doc__)
@click.option("--products", default=5000, show_default=True, help="Documents in the catalogue.")
@click.option("--queries", default=1000, show_default=True, help="Distinct queries, asked in turn.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of which the median is taken.")
@click.option("--seconds", default=8.0, show_default=True, help="Of each measure.")
@click.option("--weights", type=click.Choice(["bge", "tiny"]), default="bge", show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder for the figures.")
def main(products: int, queries: int, rounds: int, seconds: float, weights: str, results: Path) -> None:
    """Command line."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        console.print(f"filling a release of {products:,} products", highlight=False)
        bed = stack.enter_context(gateway_bed(products, weights, home))
        texts = distinct_queries(queries)
        console.print(f"taking down what the gateway asks for {queries:,} queries", highlight=False)
        requests = recorded(bed, texts, PATIENT_POLICY, home / "recorded", PATIENT)
        depth = depth_for(K, bed.snapshot.milvus.ef)
        plan = Plan(snapshot=bed.snapshot, texts=texts, requests=requests, depth=depth)
        (home / "plan.json").write_text(plan.model_dump_json())
        (home / "queries.json").write_text(json.dumps(texts, ensure_ascii=False))
        process = stack.enter_context(gateway(home / "measured", PATIENT_POLICY, **PATIENT))
        process.serve(bed.snapshot)
        bench = Bench(bed, process, home, home / "queries.json", seconds)
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds}", highlight=False)
            bench.round(backwards=number % 2 == 1)
    measured = bench.measured
    notes = notes_of(measured, products, queries)
    path = write("gateway", rows_of(measured), notes, results)
    plot(path.with_suffix(".png"), measured.at, LEVELS)
    Console(width=150).print(pods_table(pods({p: Cost(median(s) * 1000) for p, s in measured.costs.items()})))


if __name__ == "__main__":
    main()
