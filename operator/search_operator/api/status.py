"""The status of a SemanticSearchIndex, as the operator writes it; all of it can be rebuilt."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.schema import ApiModel, atomic, list_map

ConditionType = Literal[
    "Ready",
    "Reconciling",
    "Stalled",
    "EncoderReady",
    "VectorStoreReady",
    "CatalogueReady",
    "SearchReady",
    "EntryReady",
    "Autoscaling",
    "Promotable",
    "WithinBudget",
    "BackedUp",
    "Paused",
]
Role = Literal["Active", "Candidate", "Previous", "Retiring", "Failed"]
Stage = Literal[
    "Pending", "Provisioning", "Building", "CatchingUp", "Verifying", "AwaitingApproval", "Switching"
]
Text = Annotated[str, Field(max_length=4096)]
Short = Annotated[str, Field(max_length=256)]


class Condition(ApiModel):
    """One statement about the index, as in every Kubernetes API."""

    type: Annotated[str, Field(max_length=64)]
    """What is stated, e.g. Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=256)]
    """Why, as one word for machines."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """Why, as a sentence with the remedy."""
    observed_generation: int | None = None
    """Generation of the spec that was looked at."""
    last_transition_time: Short
    """When the status last changed (RFC 3339)."""


class BuildProgress(ApiModel):
    """How far a build is; counts are documents."""

    done: int = 0
    """Settled documents."""
    total: int = 0
    """Documents in all."""
    percent: int = 0
    """done of total, rounded down."""
    rows_per_second: int = 0
    """Recent speed."""
    eta: Short | None = None
    """When it should be done (RFC 3339)."""


class Gate(ApiModel):
    """One check that a candidate passes or not."""

    name: Annotated[str, Field(max_length=64)]
    """Name of the check."""
    result: Literal["Passed", "Failed", "Pending"]
    """How it went."""
    value: Short | None = None
    """What was measured."""
    threshold: Short | None = None
    """What was demanded."""
    message: Text | None = None
    """What it means."""


class SkippedDocument(ApiModel):
    """A document that could not be indexed."""

    id: Annotated[str, Field(max_length=512)]
    """Its id."""
    reason: Short
    """Why it was skipped."""


class JobOutcome(ApiModel):
    """How the last build or refresh ended; counts are documents."""

    embedded: int = 0
    """Embedded anew."""
    reused: int = 0
    """Vectors copied from another release with the same encoder."""
    updated: int = 0
    """Stored anew with their vectors, as a price or another stored field had changed."""
    unchanged: int = 0
    """Left as they were."""
    deleted: int = 0
    """Removed, as the catalogue has them no more."""
    failed: int = 0
    """Skipped, as they could not be indexed."""
    skipped: Annotated[tuple[SkippedDocument, ...], Field(max_length=20), atomic()] = ()
    """The first of those."""
    rows_per_second: int = 0
    """Mean speed."""
    duration_seconds: int = 0
    """How long it took."""
    finished_at: Short | None = None
    """When it ended (RFC 3339)."""


class ReleaseStatus(ApiModel):
    """One release."""

    name: Annotated[str, Field(max_length=64)]
    """Name, r-xxxxxxxx."""
    role: Role
    """Its part."""
    stage: Stage | None = None
    """Candidate: what is being done."""
    waiting_for: Text | None = None
    """Candidate: what the stage waits for."""
    since: Short | None = None
    """Since when it has this role and stage (RFC 3339)."""
    deadline: Short | None = None
    """Candidate: when this stage counts as failed (RFC 3339)."""
    message: Text | None = None
    """Failed: why, and what to do."""
    rebuild: Short | None = None
    """Time of the full rebuild that asked for it."""
    fingerprint: Short | None = None
    """Fingerprint of its encoder."""
    collection: Short | None = None
    """Its collection in Milvus."""
    rows: int | None = None
    """Rows in the collection."""
    progress: BuildProgress | None = None
    """Progress of the build that runs."""
    build: JobOutcome | None = None
    """How the build ended."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=32), list_map("name")] = ()
    """Its checks."""
    retained_until: Short | None = None
    """Previous: until when it is kept (RFC 3339)."""


class EncoderStart(ApiModel):
    """How long an encoder took from its pod's creation until it was ready, a node and images included."""

    pod: Short
    """The pod."""
    ready_at: Short
    """When it got ready (RFC 3339)."""
    seconds: int
    """How long it took."""


class WindowStatus(ApiModel):
    """One time that a pre-warm window is open, or will be."""

    name: Annotated[str, Field(max_length=64)]
    """The window."""
    state: Literal["Next", "Warming", "Open"]
    """Next: nothing is done yet; Warming: encoders are started for it; Open: it has begun."""
    warm_from: Short
    """From when on encoders are started for it (RFC 3339)."""
    start: Short
    """When it starts (RFC 3339)."""
    end: Short
    """When it ends (RFC 3339)."""
    replicas: int
    """Encoders that it asks for."""
    granted: int | None = None
    """Encoders that the cap and another release's leave it; fewer than replicas when those don't suffice."""


class EncoderStatus(ApiModel):
    """The encoders of the active release, or of the candidate while there is none."""

    ready: int = 0
    """Ready pods."""
    desired: int = 0
    """Wanted pods."""
    min_replicas: int | None = None
    """The spec's minimum."""
    max_replicas: int | None = None
    """The spec's maximum."""
    allowed_max: int | None = None
    """The maximum that the cap allows, which the autoscaler has."""
    scaler: Short | None = None
    """What scales, e.g. HPA (Pods metric encoder_inflight_tokens)."""
    start_seconds: int | None = None
    """How long an encoder takes to start: the 95th percentile of starts."""
    starts: Annotated[tuple[EncoderStart, ...], Field(max_length=20), list_map("pod")] = ()
    """The last starts that were seen."""
    windows: Annotated[tuple[WindowStatus, ...], Field(max_length=17), atomic()] = ()
    """Pre-warm windows that are open or warming, and the next one."""


class GatewayStatus(ApiModel):
    """The gateways."""

    ready: int = 0
    """Ready pods."""
    desired: int = 0
    """Wanted pods."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Where to ask, inside the cluster."""
    on_active: int = 0
    """Gateways that answer from the active release, by their own word."""


class BreakerStatus(ApiModel):
    """A dependency that gateways do without for the moment."""

    name: Annotated[str, Field(max_length=64)]
    """The dependency: encoder, milvus, elasticsearch, or semantic for encoder and Milvus together."""
    open: int = 0
    """Gateways whose breaker of it is open or tries it again."""


class SearchStatus(ApiModel):
    """How queries are answered."""

    policy: Short | None = None
    """Revision of the policy that the spec declares: fusion, synonyms, breaker, re-ranking, experiment."""
    gateways: int = 0
    """Gateways that say how they answer."""
    on_policy: int = 0
    """Of these, how many answer by that policy."""
    refused: int = 0
    """Of these, how many find it bad and answer by the one before."""
    refused_because: Text | None = None
    """What is wrong with it, as most of them say."""
    degraded: bool = False
    """Whether some gateway does without a part."""
    breakers: Annotated[tuple[BreakerStatus, ...], Field(max_length=16), list_map("name")] = ()
    """The parts that gateways do without."""
    rerankers_ready: int | None = None
    """Ready re-rankers; absent while there are none to be."""
    rerankers_desired: int | None = None
    """Wanted re-rankers."""


class CapacityStatus(ApiModel):
    """What a second release beside the active one needs, and what is there."""

    gpus_needed: int | None = None
    """Devices for its encoders."""
    gpus_free: int | None = None
    """Devices on matching nodes that no pod holds."""
    memory_needed: Short | None = None
    """Memory of its collection in Milvus, all replicas, e.g. 7.1Gi."""
    memory_free: Short | None = None
    """Memory that Milvus' query nodes have left."""


class RefreshStatus(ApiModel):
    """The scheduled refresh."""

    last_success: Short | None = None
    """When one last succeeded (RFC 3339)."""
    last_failure: Short | None = None
    """When one last failed (RFC 3339)."""
    next: Short | None = None
    """When the next one starts (RFC 3339)."""
    running: bool | None = None
    """Whether one runs."""
    progress: BuildProgress | None = None
    """Its progress."""
    last: JobOutcome | None = None
    """How the last one ended."""
    served_request: Short | None = None
    """The last request for a refresh that has been served or is running."""
    message: Text | None = None
    """What went wrong."""


class MonthSpent(ApiModel):
    """What a past month has cost."""

    month: Short
    """The month, e.g. 2026-11."""
    spent: Short
    """What was spent in it."""


class OpenCostItem(ApiModel):
    """One item as both count it."""

    item: Annotated[str, Field(max_length=64)]
    """The item: encoder (reserved ones with it), reranker, gateway."""
    ledger: Short
    """What the ledger says it has cost this month."""
    open_cost: Short
    """What OpenCost says."""
    difference_percent: Short | None = None
    """How much more OpenCost says, in percent of the ledger's figure; absent where that is 0."""


class OpenCostStatus(ApiModel):
    """What OpenCost says the month has cost until `asOf`, beside what the ledger says of the same items and time."""

    as_of: Short | None = None
    """Until when both are compared (RFC 3339); absent before the first answer."""
    spent: Short | None = None
    """What OpenCost says was spent on the items that both count."""
    ledger: Short | None = None
    """What the ledger says."""
    difference_percent: Short | None = None
    """How much more OpenCost says, in percent of the ledger's figure, e.g. -12.5; absent where that is 0."""
    agrees: bool | None = None
    """Whether they differ by no more than spec.cost.openCost.tolerancePercent."""
    items: Annotated[tuple[OpenCostItem, ...], Field(max_length=8), list_map("item")] = ()
    """Item by item."""
    message: Text | None = None
    """Why nothing, or nothing newer, can be compared."""


class CostStatus(ApiModel):
    """The month's money in the spec's currency, as the ledger had it at `asOf`."""

    currency: Short | None = None
    """Currency of the amounts."""
    month: Short | None = None
    """The billing month, e.g. 2026-11."""
    spent: Short | None = None
    """What was spent in it."""
    projected: Short | None = None
    """What the month comes to as it runs now, with what is planned."""
    at_minimum: Short | None = None
    """What it comes to with the fewest encoders from now on."""
    cap: Short | None = None
    """The monthly cap."""
    hourly: Short | None = None
    """What an hour costs as it runs now."""
    allowed_max: int | None = None
    """Encoders of all releases that the guard allows."""
    reached_at: Short | None = None
    """When the cap is reached as it runs now (RFC 3339); absent when it is not, this month."""
    deferred: Annotated[tuple[Short, ...], Field(max_length=8), atomic()] = ()
    """What waits for money: FullRebuild, Reranker."""
    as_of: Short | None = None
    """When the ledger was written last (RFC 3339)."""
    prices_as_of: Short | None = None
    """Day of the prices."""
    months: Annotated[tuple[MonthSpent, ...], Field(max_length=3), list_map("month")] = ()
    """The last three months before this one."""
    open_cost: OpenCostStatus | None = None
    """The comparison with OpenCost, where spec.cost.openCost asks for one."""


class Summary(ApiModel):
    """Short texts for the columns of kubectl get."""

    release: Short | None = None
    """The active release, or the candidate while there is none."""
    candidate: Short | None = None
    """The candidate beside the active release, and how far it is, e.g. r-1a2b3c4d 58%."""
    progress: Short | None = None
    """Progress of what runs, e.g. 58%."""
    rows: Short | None = None
    """Rows that can be searched, e.g. 1000000."""
    encoders: Short | None = None
    """Ready of wanted encoders, e.g. 4/4."""
    month_cost: Short | None = None
    """What this month comes to as it runs now, e.g. 3065.28 USD."""


class Status(ApiModel):
    """What the operator saw and did."""

    observed_generation: int | None = None
    """Generation of the spec that this status is about."""
    phase: Short | None = None
    """For people; machines read conditions."""
    active_release: Annotated[str, Field(max_length=64)] | None = None
    """The release that answers."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32), list_map("type")] = ()
    """Statements about the index; Ready is their summary."""
    releases: Annotated[tuple[ReleaseStatus, ...], Field(max_length=16), list_map("name")] = ()
    """Its releases."""
    encoder: EncoderStatus | None = None
    """Its encoders."""
    gateway: GatewayStatus | None = None
    """Its gateways."""
    search: SearchStatus | None = None
    """How queries are answered."""
    refresh: RefreshStatus | None = None
    """Its refresh."""
    capacity: CapacityStatus | None = None
    """Room for a candidate, while there is one."""
    cost: CostStatus | None = None
    """Its cost."""
    summary: Summary | None = None
    """Texts for kubectl get."""
