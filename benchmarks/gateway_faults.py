"""Queries while a part is stopped, slow or failing: `python -m benchmarks.gateway_faults` (`make bench-gateway-faults`).

One gateway at its own deadlines with its caches off, real parts behind proxies, distinct queries at even moments, a
third as many as it can answer. In turn Milvus, Elasticsearch and the encoder are frozen (SIGSTOP), refuse connections,
answer 500 ms later, or fail 30 % of the requests; then all is well again until the breakers have closed.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import click
from pydantic import JsonValue
from rich.console import Console
from search_plane.release.policy import SearchPolicy

from benchmarks.gateway_bed import Bed, distinct_queries, gateway, gateway_bed
from benchmarks.gateway_fault_figures import FAILING, KINDS, Left, Scenario, figures_of, left_of, rows_of
from benchmarks.gateway_fault_load import BreakerWatch, RunningLoad, capacity
from benchmarks.report import RESULTS, write
from tests.integration.gateway_bed import GatewayProcess
from tests.testbed.fault_proxy import FINE, Fault, FaultProxy, Wire
from tests.testbed.plane import wait_until
from tests.testbed.readdressed import readdressed, urls_of

PARTS: dict[str, Wire] = {"milvus": "grpc", "elasticsearch": "http", "encoder": "http"}
FAULTS = {"refuse": Fault(refuse=True), "slow": Fault(delay=0.5), "errors": Fault(errors=FAILING)}
CALM_SECONDS = 60.0
# A released part has this long to be used again; the documented time is shorter.
BACK_SECONDS = 40.0

console = Console(stderr=True, soft_wrap=True)


class Faults:
    """A gateway whose parts hang on proxies, under load."""

    def __init__(self, bed: Bed, proxies: dict[str, FaultProxy], watch: BreakerWatch, seconds: float) -> None:
        self._bed, self._proxies, self._watch, self._seconds = bed, proxies, watch, seconds

    def scenario(self, part: str, kind: str) -> Scenario:
        """One fault from its begin to the closing of the last breaker."""
        wait_until("all breakers to be closed", lambda: self._watch.all_closed, CALM_SECONDS)
        time.sleep(2.0)
        began = time.monotonic()
        try:
            if kind == "stop":
                self._bed.stop(part)
            else:
                self._proxies[part].set(FAULTS[kind])
            time.sleep(self._seconds)
        finally:
            ended = time.monotonic()
            if kind == "stop":
                self._bed.go_on(part)
            else:
                self._proxies[part].set(FINE)
        deadline = time.monotonic() + BACK_SECONDS
        while time.monotonic() < deadline and not self._watch.closed_since(ended):
            time.sleep(0.05)
        return Scenario(part, kind, began, ended, time.monotonic())


def proxied(bed: Bed, stack: ExitStack) -> tuple[Bed, dict[str, FaultProxy]]:
    """The bed as the gateway sees it through the proxies."""
    proxies = {}
    for part, url in urls_of(bed.snapshot).items():
        target = urlsplit(url)
        proxy = FaultProxy(target.hostname or "", target.port or 0, PARTS[part])
        proxies[part] = stack.enter_context(proxy)
    changed = readdressed(bed.snapshot, {part: proxy.address for part, proxy in proxies.items()})
    return Bed(changed, bed.pids), proxies


def run(
    bed: Bed,
    process: GatewayProcess,
    proxies: dict[str, FaultProxy],
    queries: Path,
    rate: float,
    seconds: float,
    chosen: Sequence[tuple[str, str]],
) -> tuple[list[Scenario], RunningLoad, BreakerWatch]:
    """All scenarios under one load."""
    with BreakerWatch(process.url) as watch, RunningLoad(process.url, queries, rate) as load:
        faults, scenarios = Faults(bed, proxies, watch, seconds), []
        time.sleep(3.0)
        for part, kind in chosen:
            scenarios.append(faults.scenario(part, kind))
            back = scenarios[-1].back - scenarios[-1].ended
            console.print(f"  {part} {kind}: over {back:.1f} s after its end", highlight=False)
    return scenarios, load, watch


@click.command(help=__doc__)
@click.option("--products", default=3000, show_default=True, help="Documents in the catalogue.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each fault.")
@click.option("--rate", default=0.0, help="Queries a second; 0: a third of what the gateway can answer.")
@click.option("--idle", default=35.0, show_default=True, help="Seconds before what is left is counted.")
@click.option("--weights", type=click.Choice(["bge", "tiny"]), default="bge", show_default=True)
@click.option("--part", type=click.Choice(list(PARTS)), multiple=True, help="Only these (default: all).")
@click.option("--kind", type=click.Choice(KINDS), multiple=True, help="Only these (default: all).")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder for the figures.")
def main(
    products: int,
    seconds: float,
    rate: float,
    idle: float,
    weights: str,
    part: tuple[str, ...],
    kind: tuple[str, ...],
    results: Path,
) -> None:
    """Command line."""
    chosen = [(one, how) for one in part or PARTS for how in kind or KINDS]
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        console.print(f"filling a release of {products:,} products", highlight=False)
        bed, proxies = proxied(stack.enter_context(gateway_bed(products, weights, home)), stack)
        queries = home / "queries.json"
        queries.write_text(json.dumps(distinct_queries(1000), ensure_ascii=False))
        process = stack.enter_context(gateway(home / "gateway", SearchPolicy()))
        process.serve(bed.snapshot)
        rate = rate or capacity(process.url, queries) / 3
        console.print(f"{rate:.1f} queries a second; {idle:.0f} s idle", highlight=False)
        time.sleep(idle)
        before = left_of(process)
        scenarios, load, watch = run(bed, process, proxies, queries, rate, seconds, chosen)
        time.sleep(idle)
        after = left_of(process)
    figures = [figures_of(one, load.replies, watch.seen) for one in scenarios]
    for one in figures:
        console.print(one.line(), highlight=False)
    write(
        "gateway_faults",
        rows_of(figures, before, after),
        notes(rate, seconds, figures, before, after),
        results,
    )


def notes(
    rate: float, seconds: float, figures: Sequence[object], before: Left, after: Left
) -> dict[str, JsonValue]:
    """What else a reader wants to know."""
    told: list[JsonValue] = [vars(one) for one in figures]
    return {
        "rate": round(rate, 1),
        "seconds_of_each_fault": seconds,
        "caches": "off (VECTOR_CACHE_ENTRIES=0, RESULT_CACHE_ENTRIES=0), and queries are distinct",
        "scenarios": told,
        "left_before": vars(before),
        "left_after": vars(after),
        "shared": "Milvus, Elasticsearch, encoder, proxies, gateway and the load share the machine's cores",
    }


if __name__ == "__main__":
    main()
