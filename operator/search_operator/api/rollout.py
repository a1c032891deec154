"""The rollout: how a new release takes over from the active one. Only its defaults are served yet."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, refused
from search_operator.api.values import Duration, Ratio

ReleaseName = Annotated[str, Field(min_length=1, max_length=32)]


class JudgedQueries(ApiModel):
    """Queries whose right answers are known."""

    config_map_ref: ObjectRef
    """ConfigMap that holds them."""
    max_ndcg_drop: Ratio = "0.01"
    """How much worse than the active release the candidate may be."""


class Gates(ApiModel):
    """What a candidate must pass before it takes over."""

    min_recall_at_k: Ratio | None = None
    """Recall of the index against brute force."""
    min_overlap_at10: Ratio | None = None
    """Overlap of the first 10 hits with the active release, for the same encoder."""
    max_p95: Duration | None = None
    """95th percentile of latency."""
    judged_queries: JudgedQueries | None = None
    """Judged queries."""


class Rollout(ApiModel):
    """How a new release takes over."""

    promotion: Annotated[
        Literal["Automatic", "Manual"],
        refused("rollout.promotion Manual", "self != 'Manual'", "remove it or write Automatic"),
    ] = "Automatic"
    """Automatic, or Manual (not served yet)."""
    approved_release: Annotated[ReleaseName, refused("rollout.approvedRelease")] | None = None
    """Manual: the candidate that may take over; not served yet."""
    rollback_to: Annotated[ReleaseName, refused("rollout.rollbackTo")] | None = None
    """A retained release to go back to; not served yet."""
    retain: Annotated[Duration, refused("rollout.retain")] | None = None
    """How long the previous release is kept; not served yet."""
    gates: Annotated[Gates, refused("rollout.gates")] | None = None
    """What a candidate must pass; not served yet."""
