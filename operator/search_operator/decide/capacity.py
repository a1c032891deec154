"""Room for more than one release: how many encoders each may have, and whether GPUs and memory suffice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from search_plane.release.record import ReleaseRecord

from search_operator.api.spec import Spec
from search_operator.observe.observation import Capacity

# Of a row besides its vector: its id (mostly some 20 characters), 48 hex digits of hash, title, brand and category (UTF-8;
# a Chinese title has some 100 bytes), price, keys of all.
ROW_OVERHEAD_BYTES = 250
# Milvus refuses to load beyond it: queryNode.overloadedMemoryThresholdPercentage, 90 by default.
MILVUS_LOADS_UP_TO_PERCENT = 90
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi")


@dataclass(frozen=True)
class Fleet:
    """How many encoders of one fingerprint run; equal bounds for one that is only kept warm."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class Need:
    """What a release still lacks: devices for its encoders, bytes for its rows in Milvus, all replicas.

    `rerankers` are the devices that re-rankers wait for, which no release takes from them.
    """

    devices: int
    memory: int
    rerankers: int = 0


@dataclass(frozen=True)
class Shortage:
    """Something that there is not enough of, as a sentence with the remedy."""

    what: Literal["Encoders", "Devices", "Memory"]
    message: str


def fleets(spec: Spec, fingerprints: Sequence[str], allowed: int) -> Mapping[str, Fleet]:
    """The fleet of each fingerprint: the first one's is autoscaled, the others' are of a fixed size.

    All together never have more than the `allowed` encoders, but for the first one's minimum. A warm fleet has as many
    as the autoscaler's minimum where there is room beside the first one's, else an equal share of that room: maybe 0.
    """
    if not fingerprints:
        return {}
    first, *others = dict.fromkeys(fingerprints)
    minimum = spec.encoder.autoscaling.min_replicas
    share = min(minimum, max(0, allowed - minimum) // len(others)) if others else 0
    active = Fleet(minimum, max(minimum, allowed - share * len(others)))
    return {first: active} | {other: Fleet(share, share) for other in others}


def collection_bytes(rows: int, dimension: int, m: int, replicas: int) -> int:
    """Memory of an HNSW collection of float32 vectors in Milvus, in bytes, all replicas.

    hnswlib keeps 2*M links of 4 bytes for each row in its lowest layer; the layers above are small beside it.
    """
    return replicas * rows * (4 * dimension + 8 * m + ROW_OVERHEAD_BYTES)


def need(
    spec: Spec, record: ReleaseRecord, fleet: Fleet | None, *, rows: int, placed: int = 0, loaded: int = 0
) -> Need:
    """What `record` still lacks of `rows` rows and of its `fleet` (None: it shares the active release's).

    `placed` of its encoders hold their devices already, and `loaded` of its rows are in memory already.
    """
    encoders = max(0, fleet.minimum - placed) if fleet else 0
    memory = collection_bytes(max(0, rows - loaded), record.encoder.dimension, record.hnsw.m, record.replicas)
    return Need(encoders * spec.encoder.accelerator.count, memory)


def room(
    spec: Spec, capacity: Capacity, wanted: Need, fleet: Fleet | None, allowed: int
) -> tuple[Shortage, ...]:
    """What there is too little of; empty when all suffices. What is not known is no shortage."""
    found = (
        _encoders(spec, fleet, allowed),
        _devices(spec, capacity, wanted),
        _memory(spec, capacity, wanted),
    )
    return tuple(shortage for shortage in found if shortage)


def binary_size(count: int) -> str:
    """Bytes for people, as Kubernetes writes them: 7.1Gi."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f}{_UNITS[unit]}" if unit else str(count)


def _encoders(spec: Spec, fleet: Fleet | None, allowed: int) -> Shortage | None:
    if fleet is None or fleet.maximum > 0:
        return None
    scaling = spec.encoder.autoscaling
    capped = allowed < scaling.max_replicas
    limit = "spec.cost.monthlyCap" if capped else "spec.encoder.autoscaling.maxReplicas"
    message = (
        f"another encoder needs encoders of its own beside the {scaling.min_replicas} that answer, but {limit} allows "
        f"{allowed} in all; raise it, or lower spec.encoder.autoscaling.minReplicas"
    )
    return Shortage("Encoders", message)


def _devices(spec: Spec, capacity: Capacity, wanted: Need) -> Shortage | None:
    if capacity.gpus_free is None or not wanted.devices:
        return None
    if wanted.devices + wanted.rerankers <= capacity.gpus_free:
        return None
    accelerator = spec.encoder.accelerator
    nodes = ", ".join(f"{k}={v}" for k, v in sorted(accelerator.effective_node_selector().items())) or "any"
    besides = f" (and re-rankers {wanted.rerankers})" if wanted.rerankers else ""
    message = (
        f"the release needs {wanted.devices} x {accelerator.resource} more{besides}, but of {capacity.gpus_total} on "
        f"nodes with {nodes} only {capacity.gpus_free} are free; add nodes, lower "
        "spec.encoder.autoscaling.minReplicas, "
        "or set spec.rollout.capacityCheck: Warn where an autoscaler adds nodes"
    )
    return Shortage("Devices", message)


def _memory(spec: Spec, capacity: Capacity, wanted: Need) -> Shortage | None:
    if capacity.memory_free is None or capacity.memory_total is None:
        return None
    reserve = capacity.memory_total * (100 - MILVUS_LOADS_UP_TO_PERCENT) // 100
    usable = max(0, capacity.memory_free - reserve)
    if wanted.memory <= usable:
        return None
    replicas = spec.vector_store.milvus.replicas
    lower = f", or lower spec.vectorStore.milvus.replicas from {replicas}" if replicas > 1 else ""
    message = (
        f"the release's rows need about {binary_size(wanted.memory)} in Milvus, but its query nodes take only "
        f"{binary_size(usable)} more ({binary_size(capacity.memory_free)} free, less the last "
        f"{100 - MILVUS_LOADS_UP_TO_PERCENT} %, which Milvus never fills); add query nodes{lower}"
    )
    return Shortage("Memory", message)
