"""What searches see of a query node's death and return: `python -m benchmarks.two_nodes` (`make bench-two-nodes`).

A Milvus of two query nodes, a release with a replica on either, the gateway at its own deadlines, 10 searches a second.
Each round kills one node (-9) and starts it again: in turn at once, as a restarted pod is, and after Milvus gave it up.
Every answer is compared with brute force. Some of the searches go straight to Milvus too, to show what it did itself.
"""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import click
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from pydantic import JsonValue
from pymilvus import MilvusClient
from rich.console import Console
from search_plane.gateway.settings import Settings
from search_plane.stores.milvus import MILVUS_ERRORS

from benchmarks.report import Row, write
from tests.integration.gateway_bed import QUERIES, SCORE_TOLERANCE, GatewayProcess, Release
from tests.integration.steady_load import RATE, Judge, K, Reply, SteadyLoad, Verdict
from tests.integration.two_node_bed import Outage, TwoNodeShop, outage, two_node_shop
from tests.testbed.stores.local import LocalElasticsearch
from tests.testbed.stores.two_node_milvus import NODES, TwoNodeMilvus

DIRECT_RATE = 5.0
# A dead node is asked for as long as this after it died, at most; and what returns is short for as long.
AFFECTED_SECONDS = 12.0
UNMARKED: tuple[Verdict, ...] = ("short", "wrong", "mixed")

console = Console(stderr=True)


class DirectLoad:
    """DIRECT_RATE searches a second straight to Milvus, with the deadline that the gateway gives it."""

    def __init__(self, release: Release, seconds: float) -> None:
        self._release = release
        self._seconds = seconds
        self._client: Any = MilvusClient(release.snapshot.milvus.uri, dedicated=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="direct load", daemon=True)
        self.results: list[Literal["whole", "short or wrong", "failed"]] = []

    def _run(self) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(32) as searches:
            for number in count():
                if self._stop.wait(max(0.0, began + number / DIRECT_RATE - time.monotonic())):
                    return
                searches.submit(self._search, QUERIES[number % len(QUERIES)])

    def _search(self, query: str) -> None:
        release, target = self._release, self._release.snapshot.milvus
        try:
            (hits,) = self._client.search(
                target.collection,
                data=[release.queries[query]],
                limit=K,
                search_params={"metric_type": target.metric, "params": {"ef": target.ef}},
                timeout=self._seconds,
            )
        except MILVUS_ERRORS:
            self.results.append("failed")
            return
        last = release.nearest(query, K)[-1][1] - SCORE_TOLERANCE
        whole = len(hits) == K and all(release.score(query, hit["id"]) >= last for hit in hits)
        self.results.append("whole" if whole else "short or wrong")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        self._client.close()


def p99(replies: Sequence[Reply]) -> float:
    """99th percentile of the time to a reply, in seconds."""
    return float(np.percentile([reply.seconds for reply in replies], 99))


def affected(replies: Sequence[Reply], rounds: Sequence[Outage]) -> list[Reply]:
    """Those sent within AFFECTED_SECONDS of a death or of a node's start."""
    moments = [moment for each in rounds for moment in (each.killed, each.started)]
    return [
        reply for reply in replies if any(0 <= reply.at - moment < AFFECTED_SECONDS for moment in moments)
    ]


def extra_searches(exposition: str) -> dict[str, JsonValue]:
    """The gateway's own count of the searches beyond the first of a query, by kind."""
    return {
        sample.labels["kind"]: int(sample.value)
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == "gateway_extra_searches_total"
    }


def run_rounds(
    load: SteadyLoad, milvus: TwoNodeMilvus, shop: TwoNodeShop, judge: Judge, rounds: int
) -> tuple[list[Outage], list[JsonValue]]:
    """The outages, and for the notes what came of each."""
    outages: list[Outage] = []
    told: list[JsonValue] = []
    for number in range(rounds):
        before = len(load.replies)
        node, given_up = NODES[number % 2], number // 2 % 2 == 1
        outages.append(outage(load, milvus, shop, node, given_up=given_up))
        found = judge.count(load.replies[before:])
        kind = "given up" if given_up else "back at once"
        console.print(f"  round {number + 1}, {node} {kind}: {dict(found)}")
        told.append(
            {"node": node, "kind": kind, "answers": {str(verdict): times for verdict, times in found.items()}}
        )
    return outages, told


@click.command()
@click.option("--rounds", default=8, show_default=True, help="Deaths of a node, the two nodes in turn.")
def main(rounds: int) -> None:
    """Kill and return query nodes under load and write benchmarks/results/two_nodes.json."""
    deadlines = Settings()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        milvus = stack.enter_context(TwoNodeMilvus())
        elasticsearch = stack.enter_context(LocalElasticsearch())
        shop = stack.enter_context(two_node_shop(milvus.uri, elasticsearch.url, home))
        judge = Judge(shop.blue)
        gateway = stack.enter_context(GatewayProcess(home))
        gateway.serve(shop.blue.snapshot)
        with SteadyLoad(gateway.url) as load:
            load.await_replies(200)
            rest = load.replies[100:]
            with DirectLoad(shop.blue, deadlines.milvus_timeout_ms / 1000) as direct:
                outages, told = run_rounds(load, milvus, shop, judge, rounds)
        extra = extra_searches(gateway.metrics())
    found = judge.count(load.replies)
    slow = affected(load.replies, outages)
    total, deadline = len(load.replies), deadlines.total_timeout_ms / 1000
    unmarked = sum(found[verdict] for verdict in UNMARKED)
    shorts = [reply for reply in load.replies if judge.verdict(reply) in UNMARKED]
    write(
        "two_nodes",
        [
            Row.compare(
                "failed", found["failed"], "all searches", total, unit="searches", goal=0, better="lower"
            ),
            Row.compare(
                "unmarked_short", unmarked, "all searches", total, unit="searches", goal=0, better="lower"
            ),
            Row.compare("by_words", found["words"], "all searches", total, unit="searches"),
            Row.compare("marked", found["marked"], "all searches", total, unit="searches"),
            Row.compare(
                "slow_p99", p99(slow), "the gateway's deadline", deadline, unit="s", goal=1, better="lower"
            ),
            Row.compare("slow_p99_vs_rest", p99(slow), "p99 before the first death", p99(rest), unit="s"),
        ],
        notes={
            "rounds": told,
            "steps": [
                f"killed {step.killed:.1f} s, started {step.started:.1f}, back {step.back:.1f}"
                for step in outages
            ],
            "rate": RATE,
            "extra_searches": extra,
            "milvus_itself": {**Counter(direct.results)},
            "milvus_itself_means": f"{DIRECT_RATE:g} searches/s straight to Milvus, one request each, same deadline",
            "failures": {
                **Counter(str(reply.body.get("error")) for reply in load.replies if reply.status != 200)
            },
            "unmarked_at": [f"{reply.at:.1f} s: {judge.verdict(reply)}" for reply in shorts[:50]],
            "slow_p99_means": f"searches sent within {AFFECTED_SECONDS:g} s of a node's death or start",
            "shared": "Milvus, Elasticsearch, both encoders, the gateway and the load share the machine's cores",
        },
    )


if __name__ == "__main__":
    main()
