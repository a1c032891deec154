"""The rollout: how a new release takes over from the active one, and how to go back."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, Cel, rules
from search_operator.api.values import Duration, Ratio, at_least, at_most, both_durations

ReleaseName = Annotated[
    str,
    Field(min_length=1, max_length=32),
    Cel(
        "self.matches('^r-[0-9a-f]{8}$')",
        "must be a release's name as status.releases lists it, r- and 8 hex digits, e.g. r-1a2b3c4d",
    ),
]


class JudgedQueries(ApiModel):
    """Queries whose right answers are known."""

    config_map_ref: ObjectRef
    """ConfigMap that holds them."""
    max_ndcg_drop: Ratio = "0.01"
    """How much worse than the active release the candidate may be."""


class Gates(ApiModel):
    """What a candidate must pass before it takes over; a gate that can't be evaluated is not passed."""

    min_recall_at_k: Ratio = "0.95"
    """Recall of the first hits (topK, at most 100) against brute force on a sample."""
    min_overlap_at10: Ratio = "0.90"
    """Overlap of the first 10 hits with the active release, asked only of the same encoder."""
    max_zero_result_rate: Ratio = "0.05"
    """Share of sample queries without a hit."""
    max_p95: Annotated[Duration, at_least("1ms")] = "100ms"
    """95th percentile of embedding and searching one query, one at a time."""
    judged_queries: JudgedQueries | None = None
    """Judged queries; absent means that nobody judges."""


class Rollout(ApiModel):
    """How a new release takes over."""

    model_config = rules(
        Cel(
            f"!({both_durations('self.retain', 'self.watch')}) || duration(self.retain) >= duration(self.watch)",
            "retain is shorter than watch, so that a switch could no longer be taken back; raise retain or "
            "lower watch (0s: not watched)",
            ".retain",
        )
    )

    promotion: Literal["Automatic", "Manual"] = "Automatic"
    """Automatic, or Manual: a candidate waits until approvedRelease names it."""
    approved_release: ReleaseName | None = None
    """Manual: the candidate that may take over, e.g. r-1a2b3c4d."""
    rollback_to: ReleaseName | None = None
    """The retained release to answer from, whatever the rest of the spec asks for; done in seconds."""
    retain: Annotated[Duration, at_most("720h")] = "24h"
    """How long the replaced release is kept loaded, fresh and with encoders, to go back to."""
    watch: Annotated[Duration, at_most("24h")] = "10m"
    """How long answers are watched after a switch; when they break, the switch is taken back. 0s: not at all."""
    capacity_check: Literal["Enforce", "Warn"] = "Enforce"
    """Whether too few GPUs or too little memory for both releases hold a candidate back (Enforce) or are only told."""
    gates: Gates = Gates()
    """What a candidate must pass."""
