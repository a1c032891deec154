"""What each part of an index takes of the cluster: pods, CPU, memory, devices. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from search_operator.api.derive import encoder_identity
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.capacity import binary_size, collection_bytes
from search_operator.render.jobs import JOB_RESOURCES
from search_operator.render.reranker import devices_of, reranker_of

MILLION = 1_000_000


@dataclass(frozen=True)
class Part:
    """One kind of pods: from `fewest` to `most` of them, each with what it reserves. `note` says when it runs.

    `cpu` in thousandths of a core, `memory` in bytes, `devices` of the accelerator.
    """

    name: str
    fewest: int
    most: int
    cpu: int
    memory: int
    devices: int = 0
    note: str = ""


@dataclass(frozen=True)
class Totals:
    """All parts together, as `Part` has them."""

    cpu: int
    memory: int
    devices: int


def parts(index: SemanticSearchIndex, allowed: int) -> tuple[Part, ...]:
    """Every kind of pods; `allowed` encoders are what the guard allows at a month's first moment."""
    return tuple(_parts(index, allowed))


def _parts(index: SemanticSearchIndex, allowed: int) -> Iterator[Part]:
    spec, scaling = index.spec, index.spec.encoder.autoscaling
    # Windows, and a month that has cost little, may still bring all of them.
    lowered = f"the guard allows {allowed} at first" if allowed < scaling.max_replicas else ""
    encoder = _asked(spec.encoder.resources.model_dump(exclude_none=True))
    yield Part(
        "encoder",
        scaling.min_replicas,
        scaling.max_replicas,
        *encoder,
        spec.encoder.accelerator.count,
        lowered,
    )
    gateway = _asked(spec.search.resources.model_dump(exclude_none=True))
    yield Part("gateway", spec.search.replicas, spec.search.replicas, *gateway)
    if reranker := reranker_of(index):
        asked = _asked(reranker.resources.model_dump(exclude_none=True))
        yield Part("re-ranker", reranker.replicas, reranker.replicas, *asked, devices_of(index, reranker))
    workers = spec.refresh.parallelism
    yield Part("build worker", 0, workers, *_asked(JOB_RESOURCES), 0, "while a release is built")


def totals(found: Sequence[Part], *, most: bool) -> Totals:
    """At their fewest, or at their most."""
    counted = [(part, part.most if most else part.fewest) for part in found]
    return Totals(
        sum(part.cpu * pods for part, pods in counted),
        sum(part.memory * pods for part, pods in counted),
        sum(part.devices * pods for part, pods in counted),
    )


def milvus_memory(index: SemanticSearchIndex, rows: int | None) -> str:
    """What the collection takes in Milvus, all replicas: for its rows, or for a million where these are not known."""
    milvus, known = index.spec.vector_store.milvus, rows or MILLION
    dimension = encoder_identity(index.spec).dimension
    size = binary_size(collection_bytes(known, dimension, milvus.index.m, milvus.replicas))
    copies = f"{milvus.replicas} replica{'' if milvus.replicas == 1 else 's'}"
    return f"about {size} for {'its' if rows else 'each'} {known:,} rows in {copies}"


def cores(thousandths: int) -> str:
    """Thousandths of a core as cores: 1.5."""
    return f"{thousandths / 1000:g}"


def _asked(resources: Mapping[str, Any]) -> tuple[int, int]:
    """CPU and memory that a pod reserves: its requests, or its limits where nothing is requested."""
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    cpu, memory = (Decimal(parse_quantity(asked.get(key, 0))) for key in ("cpu", "memory"))
    return int(cpu * 1000), int(memory)
