"""A shop that can be asked: real Elasticsearch, Milvus, encoder and gateway over one sample catalogue."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from pymilvus import MilvusClient
from search_plane.release.policy import SearchPolicy
from search_plane.release.record import CatalogueTarget, MilvusTarget, ReleaseSnapshot
from search_plane.stores.catalogue import connect_blocking

from benchmarks.relevance_metrics import DEPTH
from sample_catalogue import index_definition, load
from tests.integration.gateway_bed import GatewayProcess
from tests.testbed.cluster.cache import TestbedError
from tests.testbed.plane import (
    EncoderServer,
    JobProcess,
    create_release_collection,
    sample_record,
    wait_until,
)

JOB_SECONDS = 900.0
_TRIES = 5
_PATIENCE_SECONDS = 30.0
_AT_ONCE = 2
# A machine that embeds and searches on two cores, with all of its stores: what is slow here is no fault of the release.
_PATIENT = {
    "encoder_timeout_ms": 10_000,
    "milvus_timeout_ms": 10_000,
    "es_timeout_ms": 10_000,
    "total_timeout_ms": 20_000,
    "keywords_after_ms": 9_000,
    "semantic_wait_ms": 9_000,
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have queries answered: its name, and the parameters that ask for it."""

    name: str
    parameters: Mapping[str, str]


KEYWORD = Way("keyword", {"mode": "keyword"})
SEMANTIC = Way("semantic", {"mode": "semantic"})
FUSED = Way("fused", {"mode": "fused"})
RERANKED = Way("re-ranked", {"mode": "fused", "rerank": "true"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One hit, as far as people read it."""

    id: str
    title: str


@contextlib.contextmanager
def open_shop(
    products: int,
    seed: int,
    policy: SearchPolicy,
    encoder: EncoderServer,
    stores: tuple[str, str],
    home: Path,
) -> Iterator[GatewayProcess]:
    """A gateway that answers from `products` of the sample catalogue; all that it stands on goes at the end.

    The collection is built by the product's own job. `stores`: URL of Elasticsearch, URI of Milvus. Raises
    TestbedError when a part does not come up.
    """
    elasticsearch_url, milvus_uri = stores
    suffix = uuid4().hex[:8]
    name = f"r-{suffix}"
    release = ReleaseSnapshot(
        namespace="eval",
        index="products",
        release=name,
        fingerprint=encoder.identity.fingerprint(),
        encoder=encoder.identity,
        encoder_url=encoder.url,
        milvus=MilvusTarget(uri=milvus_uri, collection=f"eval_{suffix}"),
        catalogue=CatalogueTarget(url=elasticsearch_url, index=f"eval-{suffix}"),
        top_k=DEPTH,
    )
    with contextlib.ExitStack() as stack:
        catalogue = stack.enter_context(connect_blocking(release.catalogue, timeout=120))
        catalogue.indices.create(index=release.catalogue.index, **index_definition())
        stack.callback(catalogue.indices.delete, index=release.catalogue.index)
        load(catalogue, release.catalogue.index, products, seed)
        milvus = MilvusClient(uri=milvus_uri, timeout=60)
        stack.callback(milvus.close)
        create_release_collection(milvus, sample_record(encoder.identity, name), release.milvus.collection)
        stack.callback(milvus.drop_collection, release.milvus.collection, timeout=60)
        job = JobProcess(release, home / f"job-{suffix}")
        if (code := job.wait(JOB_SECONDS)) != 0:
            raise TestbedError(f"the build ended with {code}; its log:\n{job.tail()}")
        gateway = stack.enter_context(GatewayProcess(home / f"gateway-{suffix}", **_PATIENT))
        gateway.mount_policy(policy.to_json())
        gateway.serve(release)
        wait_until(
            "the gateway to follow the policy and to know the catalogue's words",
            partial(_knows, gateway, policy),
        )
        yield gateway


def _knows(gateway: GatewayProcess, policy: SearchPolicy) -> bool:
    """Whether it answers by the policy, and has read the brands."""
    body = httpx.get(f"{gateway.url}/search", params={"q": "小米手机", "k": 1}, timeout=30).json()
    return body.get("policy") == policy.revision() and bool(body["understood"]["brands"])


def answers(
    gateway: GatewayProcess, way: Way, queries: Sequence[str], k: int = DEPTH
) -> dict[str, list[Shown]]:
    """What comes for each query that way, best first. Raises TestbedError as `hits_of` does."""
    found = hits_of(gateway, way, queries, k)
    return {query: [Shown(hit["id"], hit["title"] or "") for hit in hits] for query, hits in found.items()}


def hits_of(
    gateway: GatewayProcess, way: Way, queries: Sequence[str], k: int = DEPTH
) -> dict[str, list[dict[str, Any]]]:
    """The hits for each query that way, best first, as the gateway tells them.

    Raises TestbedError for a query that is refused, or still answered only in part after some tries: its figures
    would be another way's.
    """
    with httpx.Client(base_url=gateway.url, timeout=60) as client, ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(partial(_hits, client, way, k), queries)
        return dict(zip(queries, found, strict=True))


def _hits(client: httpx.Client, way: Way, k: int, query: str) -> list[dict[str, Any]]:
    until = time.monotonic() + _PATIENCE_SECONDS
    last = ""
    for attempt in range(_TRIES):
        reply = client.get("/search", params={"q": query, "k": str(k), **way.parameters})
        body = reply.json()
        if reply.status_code == 200 and not body["degraded"]:
            hits: list[dict[str, Any]] = body["hits"]
            return hits
        last = f"{reply.status_code}, {body.get('degraded') or body}"
        if reply.status_code == 400 or time.monotonic() > until:
            break
        # A part was busy for a moment; the gateway's own breaker needs a little to close.
        time.sleep(0.5 * 2**attempt)
    raise TestbedError(f"{query!r} asked as {way.name} was not answered whole: {last}")
