"""What the tests and the benchmark of a two-node Milvus stand on: releases filled by jobs, and outages of a node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from elasticsearch import Elasticsearch
from pymilvus import MilvusClient
from search_plane.jobs.rendering import Rendered, Renderer
from search_plane.release.record import CatalogueTarget, MilvusTarget, ReleaseSnapshot
from search_plane.stores.catalogue import connect_blocking
from search_plane.stores.milvus import MILVUS_ERRORS

from sample_catalogue import index_definition, load
from tests.integration.gateway_bed import QUERIES, Release, embed
from tests.integration.steady_load import RATE, SteadyLoad
from tests.testbed.cluster.cache import TestbedError
from tests.testbed.plane import (
    EncoderServer,
    JobProcess,
    create_release_collection,
    sample_record,
    wait_until,
)
from tests.testbed.stores.two_node_milvus import Node, TwoNodeMilvus
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact

# Two shards of more than 1,024 rows each: below that Milvus builds no graph.
PRODUCTS = 3000
SHARDS = 2
REPLICAS = 2
SLICES = 2
_SEEDS = {"blue": 20261122, "green": 99}
_CATALOGUE_SEED = 7
# Searches before an outage and during an absence, and after the return: the wrong answers of this Milvus end within
# 12 s of it.
_BRIEF, _AFTER = round(2 * RATE), round(15 * RATE)
_BACK_SECONDS = 120.0


@dataclass(frozen=True)
class TwoNodeShop:
    """One catalogue and two releases of it by different encoders, each with a replica on either query node."""

    blue: Release
    green: Release
    milvus: Any

    def replicas(self, release: Release) -> list[set[int]]:
        """For each replica the ids of the nodes that lead its shards; empty while Milvus can't say."""
        try:
            found = self.milvus.describe_replica(release.snapshot.milvus.collection, timeout=5)
        except MILVUS_ERRORS:
            return []
        return [{shard.shard_leader for shard in replica.shards} for replica in found]

    def leading_nodes(self, release: Release) -> set[int]:
        """Nodes that lead all shards of a replica."""
        return {node for leaders in self.replicas(release) if len(leaders) == 1 for node in leaders}


@contextmanager
def two_node_shop(milvus_uri: str, elasticsearch_url: str, home: Path) -> Iterator[TwoNodeShop]:
    """Both releases, filled by the real jobs: a pass by two workers, then the catch-up. About 40 s."""
    target = CatalogueTarget(url=elasticsearch_url, index=f"two-nodes-{uuid4().hex[:8]}")
    with ExitStack() as stack:
        elasticsearch = stack.enter_context(connect_blocking(target, timeout=60))
        elasticsearch.indices.create(index=target.index, **index_definition("standard"))
        stack.callback(elasticsearch.indices.delete, index=target.index)
        load(elasticsearch, target.index, PRODUCTS, _CATALOGUE_SEED, analyzer="standard")
        milvus: Any = MilvusClient(milvus_uri, timeout=60)
        stack.callback(milvus.close)
        releases = {}
        for name, seed in _SEEDS.items():
            folder = home / name
            folder.mkdir()
            encoder = EncoderServer(WeightsFolder(folder, tiny_artefact(folder, seed=seed)), folder)
            stack.enter_context(encoder)
            snapshot = _created(milvus, milvus_uri, encoder, target)
            _filled(snapshot, folder)
            releases[name] = _known(snapshot, elasticsearch)
            _settled(milvus, releases[name])
        yield TwoNodeShop(releases["blue"], releases["green"], milvus)


def _created(milvus: Any, uri: str, encoder: EncoderServer, catalogue: CatalogueTarget) -> ReleaseSnapshot:
    identity = encoder.identity
    name = f"r-{uuid4().hex[:8]}"
    collection = f"test__products_{name.replace('-', '_')}"
    record = sample_record(identity, name, shards=SHARDS)
    create_release_collection(milvus, record, collection, replicas=REPLICAS)
    return ReleaseSnapshot(
        namespace="test",
        index="products",
        release=name,
        fingerprint=identity.fingerprint(),
        encoder=identity,
        encoder_url=encoder.url,
        milvus=MilvusTarget(uri=uri, collection=collection),
        catalogue=catalogue,
    )


def _filled(snapshot: ReleaseSnapshot, home: Path) -> None:
    """Runs the jobs as the operator does."""

    def done(job: JobProcess, kind: str) -> None:
        if (code := job.wait()) != 0:
            raise TestbedError(f"the {kind} job ended with {code}; its log:\n{job.tail()}")

    slices = [
        JobProcess(
            snapshot, home / f"slice-{part}", "build", {"SLICES": SLICES, "JOB_COMPLETION_INDEX": part}
        )
        for part in range(SLICES)
    ]
    for job in slices:
        done(job, "build")
    catchup = JobProcess(snapshot, home / "catchup", "catchup")
    done(catchup, "catch-up")
    report = catchup.report()
    if not report.id_sets_equal or report.rows != PRODUCTS:
        raise TestbedError(f"the catch-up ended without the whole catalogue: {report}")


def _known(snapshot: ReleaseSnapshot, elasticsearch: Elasticsearch) -> Release:
    """The release with its vectors straight from the encoder, not through what is tested."""
    renderer = Renderer(snapshot.encoder.text_template, snapshot.catalogue.fields.id)
    found = elasticsearch.search(index=snapshot.catalogue.index, size=10_000)["hits"]["hits"]
    rendered = [renderer.render(hit["_id"], hit["_source"]) for hit in found]
    rows = [row for row in rendered if isinstance(row, Rendered)]
    vectors = embed(snapshot.encoder_url, [row.text for row in rows], "document")
    queries = dict(zip(QUERIES, embed(snapshot.encoder_url, QUERIES, "query"), strict=True))
    return Release(snapshot, tuple(row.id for row in rows), vectors, queries)


def _settled(milvus: Any, release: Release) -> None:
    """Waits until the graph is built and all rows are read."""
    collection = release.snapshot.milvus.collection

    def indexed() -> bool:
        index = milvus.describe_index(collection, "dense")
        return index.get("state") == "Finished" and not int(index.get("pending_index_rows", 0))

    def all_read() -> bool:
        answer = milvus.query(collection, output_fields=["count(*)"], consistency_level="Strong", timeout=10)
        return int(answer[0]["count(*)"]) == len(release.ids)

    wait_until(f"the graph of {collection}", indexed)
    wait_until(f"all rows of {collection} to be read", all_read)


@dataclass(frozen=True)
class Outage:
    """When, in seconds of the load, a node was killed, was started again, and led its replica again."""

    killed: float
    started: float
    back: float


def outage(
    load: SteadyLoad, milvus: TwoNodeMilvus, shop: TwoNodeShop, node: Node, *, given_up: bool
) -> Outage:
    """kill -9 of a node under a load, its return, and what comes after it.

    `given_up`: away until Milvus has noticed (its session ends after 30 s); else away for 2 s, as a restarted pod.
    """
    load.await_replies(_BRIEF)
    before = shop.leading_nodes(shop.blue)
    killed = load.now
    milvus.kill(node)
    if given_up:
        wait_until("Milvus to give the node up", lambda: not shop.replicas(shop.blue))
    load.await_replies(_BRIEF)
    started = load.now
    milvus.start(node)

    def led_again() -> bool:
        leaders = shop.leading_nodes(shop.blue)
        return len(leaders) == REPLICAS and leaders != before

    wait_until("both replicas to be led again", led_again, _BACK_SECONDS)
    back = load.now
    load.await_replies(_AFTER)
    return Outage(killed, started, back)
