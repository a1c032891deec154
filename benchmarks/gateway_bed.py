"""What the gateway's benchmarks run on: real stores and an encoder as processes of this machine, one filled release."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymilvus import MilvusClient
from search_plane.release.policy import SearchPolicy
from search_plane.release.record import CatalogueTarget, MilvusTarget, ReleaseSnapshot
from search_plane.stores.catalogue import connect_blocking

from sample_catalogue import generate, index_definition, load
from tests.integration.gateway_bed import GatewayProcess
from tests.testbed.cluster import TestbedError
from tests.testbed.plane import EncoderServer, JobProcess, create_release_collection, sample_record
from tests.testbed.stores.local import LocalElasticsearch, LocalMilvus
from tests.testbed.weights.bge import bge_weights
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact

SEED = 7
FILL_SECONDS = 1800.0
# Distinct queries alone would still meet a cache when they come round again.
CACHES_OFF = {"vector_cache_entries": 0, "result_cache_entries": 0}


@dataclass(frozen=True)
class Bed:
    """A release that is filled, and the process ids of its parts."""

    snapshot: ReleaseSnapshot
    pids: dict[str, int]

    def stop(self, part: str) -> None:
        """Freezes a part with its connections."""
        os.kill(self.pids[part], signal.SIGSTOP)

    def go_on(self, part: str) -> None:
        """Lets a frozen part run again."""
        os.kill(self.pids[part], signal.SIGCONT)


@contextmanager
def gateway_bed(products: int, weights: str, home: Path) -> Iterator[Bed]:
    """The stores, an encoder with `weights` (bge or tiny) and a collection of so many made-up products."""
    folder = _weights(weights, home)
    with ExitStack() as stack:
        elasticsearch = stack.enter_context(LocalElasticsearch())
        milvus = stack.enter_context(LocalMilvus())
        encoder = stack.enter_context(EncoderServer(folder, home))
        name = f"r-{uuid4().hex[:8]}"
        snapshot = ReleaseSnapshot(
            namespace="bench",
            index="products",
            release=name,
            fingerprint=encoder.identity.fingerprint(),
            encoder=encoder.identity,
            encoder_url=encoder.url,
            milvus=MilvusTarget(uri=milvus.uri, collection=f"bench_{name.replace('-', '_')}"),
            catalogue=CatalogueTarget(url=elasticsearch.url, index="products"),
        )
        client: Any = MilvusClient(milvus.uri, timeout=60)
        stack.callback(client.close)
        create_release_collection(client, sample_record(encoder.identity, name), snapshot.milvus.collection)
        with connect_blocking(snapshot.catalogue, timeout=120) as catalogue:
            catalogue.indices.create(index="products", **index_definition("standard"))
            load(catalogue, "products", products, SEED, analyzer="standard")
        job = JobProcess(snapshot, home / "fill")
        if code := job.wait(FILL_SECONDS):
            raise TestbedError(f"filling the release ended with {code}; its log:\n{job.tail()}")
        processes = {
            "encoder": encoder.process,
            "milvus": milvus.process,
            "elasticsearch": elasticsearch.process,
        }
        yield Bed(snapshot, {part: process.pid for part, process in processes.items() if process})


def gateway(home: Path, policy: SearchPolicy, **settings: object) -> GatewayProcess:
    """A gateway that is not started yet, with that policy mounted and its caches off."""
    process = GatewayProcess(home, **CACHES_OFF, **settings)
    process.mount_policy(policy.to_json())
    return process


def distinct_queries(count: int) -> list[str]:
    """Distinct beginnings of made-up titles, 4 to 16 characters long, in an order that mixes the lengths."""
    found: dict[str, None] = {}
    for number, product in enumerate(generate(3 * count, SEED)):
        text = str(product.document()["title"])[: 4 + number % 13].strip()
        if len(text) >= 4:
            found[text] = None
        if len(found) == count:
            return list(found)
    raise TestbedError(f"only {len(found)} of {count} distinct queries")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _weights(name: str, home: Path) -> WeightsFolder:
    if name == "bge":
        return bge_weights()
    (home / "tiny").mkdir()
    return WeightsFolder(home / "tiny", tiny_artefact(home / "tiny"))
