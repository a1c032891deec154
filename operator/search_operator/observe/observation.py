"""What is known about one index at one moment: frozen, complete, and free of secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from search_plane.release.gateway_state import GatewayState
from search_plane.release.record import ReleaseRecord, ReleaseSnapshot
from search_plane.release.report import JobProgress, JobReport

from search_operator.api.cost import Prices
from search_operator.api.index import SemanticSearchIndex
from search_operator.money.account import Account
from search_operator.money.ledger import Deferral, Ledger, MonthAccount
from search_operator.observe.book import Book

Object = dict[str, Any]
ChildKey = tuple[str, str]
"""(kind, name) of a child in the index's own namespace."""


@dataclass(frozen=True)
class Problem:
    """Something that stops progress: a CamelCase reason, a sentence with the remedy, and whether a person must act."""

    reason: str
    message: str
    needs_a_person: bool = True


@dataclass(frozen=True)
class CollectionView:
    """One collection of this index in Milvus. `rows` is a strong count, None while it is not loaded."""

    name: str
    record: ReleaseRecord
    indexed: bool
    index_finished: bool
    pending_rows: int
    loaded: bool
    loading: bool
    replicas: int
    rows: int | None


@dataclass(frozen=True)
class MilvusView:
    """Milvus as this index sees it; after a problem nothing else in here is known."""

    problem: Problem | None = None
    collections: tuple[CollectionView, ...] = ()
    alias_target: str = ""

    @property
    def known(self) -> bool:
        """Whether Milvus answered, so that an absent collection is really absent."""
        return self.problem is None

    def collection(self, name: str) -> CollectionView | None:
        """The collection of that physical name, if it is one of this index's."""
        return next((c for c in self.collections if c.name == name), None)


@dataclass(frozen=True)
class CatalogueView:
    """The catalogue as this index sees it; `documents` is what the filter leaves, None when unknown."""

    problem: Problem | None = None
    documents: int | None = None


@dataclass(frozen=True)
class PodStart:
    """When a pod got ready, and how long that took from its creation on, a node and images included."""

    ready_at: datetime
    took: timedelta


@dataclass(frozen=True)
class PodView:
    """One pod of a child workload, with what is worth telling of it."""

    name: str
    component: str
    release: str
    job: str
    phase: str
    ip: str
    ready: bool
    unschedulable: str
    waiting_reason: str
    waiting_message: str
    finished_at: str
    report: JobReport | None
    nudged: str = ""
    """Revision of the pointer that this gateway pod was last told of."""
    deleted: bool = False
    """Whether it is being deleted."""
    slice: int = 0
    """Completion index of an indexed Job's pod."""
    uid: str = ""
    """Tells it from all others for ever."""
    scheduled: str = ""
    """Since when it holds a node (RFC 3339), empty while it holds none."""
    ended: str = ""
    """When its last container ended for good (RFC 3339), empty before."""
    started: PodStart | None = None
    """Its start, once it is ready; None where that can't be told any more."""


@dataclass(frozen=True)
class GatewayView:
    """One gateway pod and what it says of itself; `state` is None when it did not answer."""

    pod: str
    ready: bool
    nudged: str
    state: GatewayState | None


@dataclass(frozen=True)
class Capacity:
    """What the cluster and Milvus have left. None: not known. Devices are counted, memory is in bytes."""

    gpus_total: int | None = None
    gpus_free: int | None = None
    memory_total: int | None = None
    memory_free: int | None = None


@dataclass(frozen=True)
class JobView:
    """A Job of a release: where it stands, and what its pods say.

    Of a build with several slices, `progress` and `report` are the sums of its workers' (the report only when all
    have ended well); `slices_done` of `slices` workers are done. `attempt` tells runs of one kind apart, from 1.
    """

    name: str
    release: str
    component: Literal["build", "catchup", "verify", "refresh"]
    uid: str
    started_at: str
    finished_at: str
    succeeded: bool
    failed: bool
    progress: JobProgress | None
    report: JobReport | None
    attempt: int = 1
    slices: int = 1
    slices_done: int = 0
    request: str = ""
    """The request for a refresh that this Job serves (its time), empty for none."""


@dataclass(frozen=True)
class EntryView:
    """The Ingress or HTTPRoute that the spec asks for, whoever's it is; `problem` where the API can't have one."""

    live: Object | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class PricesView:
    """Prices of a shared ConfigMap, or why they can't be read; neither where the spec names none."""

    prices: Prices | None = None
    problem: Problem | None = None


MetricsApi = Literal["Ours", "Theirs", "Absent", "Unavailable"]


@dataclass(frozen=True)
class ScalingView:
    """What the cluster has to scale by: who serves custom.metrics.k8s.io, and whether KEDA is there.

    `Ours` serves or is about to; `Unavailable` does not answer for the moment, whoever's it is. `knows_metric`: its
    discovery names pods/encoder_inflight_tokens. `owner` is the namespace/name of another's Service, `why` what keeps
    it from answering.
    """

    metrics_api: MetricsApi = "Absent"
    knows_metric: bool = False
    keda: bool = False
    owner: str = ""
    why: str = ""


@dataclass(frozen=True)
class OpenCostView:
    """OpenCost's last answer: micro-units by component, beside the account of the same time, which ends at `until`.

    `account` is None before the first answer; `problem` says why there is none, or none since.
    """

    account: MonthAccount | None = None
    until: int = 0
    costs: Mapping[str, int] = field(default_factory=dict)
    problem: Problem | None = None


@dataclass(frozen=True)
class Observation:
    """All that plan() and status() may look at. `now` is timezone-aware UTC."""

    now: datetime
    index: SemanticSearchIndex
    children: Mapping[ChildKey, Object] = field(default_factory=dict)
    pods: tuple[PodView, ...] = ()
    jobs: tuple[JobView, ...] = ()
    snapshot: ReleaseSnapshot | None = None
    book: Book = field(default_factory=Book)
    gateways: tuple[GatewayView, ...] = ()
    capacity: Capacity = Capacity()
    secret_problem: Problem | None = None
    milvus: MilvusView = MilvusView()
    catalogue: CatalogueView = CatalogueView()
    entry: EntryView = EntryView()
    prices: PricesView = PricesView()
    scaling: ScalingView = ScalingView()
    open_cost: OpenCostView = field(default_factory=OpenCostView)
    ledger: Ledger | None = None
    """As it is kept; None when there is none, or somebody has spoilt it."""
    ledger_aside: Ledger | None = None
    """The one in the spec's currency of before another currency was chosen; None when there is none."""
    account: Account | None = None
    """Drawn up of all this by spending.accounted(); None without prices."""
    allowed: int | None = None
    """Encoders of all releases that the guard allows; None where nothing guards."""
    deferred: tuple[Deferral, ...] = ()
    """What the guard has given up for now."""

    @property
    def allowed_encoders(self) -> int:
        """Encoders of all releases that may run: what the guard allows, never more than the spec does."""
        declared = self.index.spec.encoder.autoscaling.max_replicas
        return declared if self.allowed is None else min(declared, self.allowed)

    def child(self, kind: str, name: str) -> Object | None:
        """The live child, if it exists."""
        return self.children.get((kind, name))
