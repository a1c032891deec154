"""The whole spec of a SemanticSearchIndex."""

from typing import Annotated, Literal

from search_operator.api.catalogue import Catalogue
from search_operator.api.encoder import Encoder
from search_operator.api.operations import Backup, Cost, Objectives
from search_operator.api.refresh import Refresh
from search_operator.api.rollout import Rollout
from search_operator.api.schema import ApiModel, Cel, refused, rules
from search_operator.api.search import Search
from search_operator.api.vector_store import VectorStore

HOURS_OF_LONGEST_MONTH = 744

_DECIMAL = "'^[0-9]{1,12}([.][0-9]{1,6})?$'"
_PRICES = "self.cost.prices"
_RERANKERS = "(has(self.search.reranker) && self.search.reranker.enabled ? double(self.search.reranker.replicas) : 0.0)"
_MINIMUM = (
    f"((double(self.encoder.autoscaling.minReplicas) + {_RERANKERS}) * double({_PRICES}.encoderNodeHour) + "
    f"(has({_PRICES}.milvusNodes) ? "
    f"double({_PRICES}.milvusNodes.count) * double({_PRICES}.milvusNodes.nodeHour) : 0.0))"
    f" * {HOURS_OF_LONGEST_MONTH}.0"
)
# Malformed amounts have a rule of their own; this one passes them.
_PRICED = (
    f"has(self.cost) && has({_PRICES}) && self.cost.monthlyCap.matches({_DECIMAL})"
    f" && {_PRICES}.encoderNodeHour.matches({_DECIMAL})"
    f" && (!has({_PRICES}.milvusNodes) || {_PRICES}.milvusNodes.nodeHour.matches({_DECIMAL}))"
)


class Spec(ApiModel):
    """What the search should be. Everything but encoder, vectorStore and catalogue has a default."""

    model_config = rules(
        Cel(
            "self.vectorStore.milvus.search.ef >= self.search.topK",
            "vectorStore.milvus.search.ef is below search.topK; raise ef or lower topK",
            ".vectorStore.milvus.search.ef",
            "'vectorStore.milvus.search.ef %d is below search.topK %d; raise ef or lower topK'"
            ".format([self.vectorStore.milvus.search.ef, self.search.topK])",
        ),
        # Half a cent absorbs the rounding of doubles.
        Cel(
            f"!({_PRICED}) || {_MINIMUM} <= double(self.cost.monthlyCap) + 0.005",
            "cost.monthlyCap is below the cost of the minimum fleet for 744 hours; raise it, or "
            "lower minReplicas",
            ".cost.monthlyCap",
            "'cost.monthlyCap is below the cost of the minimum fleet for "
            f"{HOURS_OF_LONGEST_MONTH} hours; write at least %d, or lower "
            f"encoder.autoscaling.minReplicas'.format([int({_MINIMUM}) + 1])",
        ),
        Cel(
            "!has(self.search.log.index) || self.search.log.index != self.catalogue.elasticsearch.index",
            "search.log.index is the catalogue's own index, and a log must never lie among products; choose another",
            ".search.log.index",
        ),
    )

    paused: bool = False
    """While true the operator changes nothing."""
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    """Whether the collections go or stay when the index is deleted."""
    encoder: Encoder
    """The encoder."""
    vector_store: VectorStore
    """The vector store."""
    catalogue: Catalogue
    """The catalogue."""
    refresh: Refresh = Refresh()
    """Scheduled re-embedding."""
    rollout: Rollout = Rollout()
    """How releases change."""
    search: Search = Search()
    """The gateway."""
    backup: Annotated[Backup, refused("backup")] | None = None
    """Backups; not served yet."""
    slo: Annotated[Objectives, refused("slo")] | None = None
    """Objectives; not served yet."""
    cost: Cost | None = None
    """The bill and its cap; absent means nobody counts."""
