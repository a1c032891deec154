"""The search: the gateway that answers queries."""

from typing import Annotated

from pydantic import Field

from search_operator.api.kubernetes import Resources
from search_operator.api.schema import ApiModel, atomic, refused
from search_operator.api.values import Duration, Image, Ratio


class Hybrid(ApiModel):
    """Weights of the two searches whose results are fused."""

    semantic_weight: Ratio = "0.6"
    """Weight of the semantic search."""
    keyword_weight: Ratio = "0.4"
    """Weight of the keyword search."""


class Breaker(ApiModel):
    """When the gateway falls back to keyword search."""

    latency: Duration = "150ms"
    """Latency of the semantic search that opens it."""
    window: Duration = "10s"
    """Time over which it is measured."""


class Reranker(ApiModel):
    """A cross-encoder that orders the first hits anew."""

    enabled: Annotated[bool, refused("search.reranker.enabled true", "!self", "remove it or write false")] = (
        False
    )
    """Whether it runs."""
    model: Annotated[str, Field(min_length=1, max_length=128)] = "ms-marco-minilm-l-12-v2"
    """Its model."""
    candidates: Annotated[int, Field(ge=1, le=1000)] = 100
    """Hits that it looks at."""
    results: Annotated[int, Field(ge=1, le=1000)] = 10
    """Hits that it returns."""
    max_share: Ratio = "0.05"
    """Share of queries that it may take."""


class Experiment(ApiModel):
    """An A/B test against keyword search."""

    enabled: Annotated[
        bool, refused("search.experiment.enabled true", "!self", "remove it or write false")
    ] = False
    """Whether it runs."""
    semantic_share: Ratio = "0.5"
    """Share of users that get semantic search."""


class Search(ApiModel):
    """The gateway."""

    image: Image = ""
    """Image of the gateway and the jobs; empty means the operator's own."""
    replicas: Annotated[int, Field(ge=1, le=1000)] = 3
    """Gateways that run."""
    top_k: Annotated[int, Field(ge=1, le=16384)] = 100
    """Depth of the vector search, and the most hits a query may ask for."""
    resources: Resources = Resources(requests={"cpu": "500m", "memory": "256Mi"}, limits={"memory": "1Gi"})
    """CPU and memory of each gateway."""
    hybrid: Annotated[Hybrid, refused("search.hybrid")] | None = None
    """Fusion with keyword search; not served yet."""
    synonyms: Annotated[
        tuple[Annotated[str, Field(max_length=512)], ...],
        Field(max_length=256),
        atomic(),
        refused("search.synonyms", "size(self) == 0"),
    ] = ()
    """Words that mean the same, in the form "a, b, c"; not served yet."""
    breaker: Annotated[Breaker, refused("search.breaker")] | None = None
    """Fallback to keyword search; not served yet."""
    reranker: Reranker | None = None
    """Re-ranking of the first hits; not served yet."""
    experiment: Experiment | None = None
    """A/B test; not served yet."""
