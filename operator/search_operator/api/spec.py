"""The whole spec of a SemanticSearchIndex."""

from typing import Annotated, Literal

from search_operator.api.catalogue import Catalogue
from search_operator.api.cost import Cost
from search_operator.api.encoder import Encoder
from search_operator.api.operations import Backup, Objectives
from search_operator.api.refresh import Refresh
from search_operator.api.rollout import Rollout
from search_operator.api.schema import ApiModel, Cel, refused, rules
from search_operator.api.search import Search
from search_operator.api.vector_store import VectorStore

HOURS_OF_LONGEST_MONTH = 744

_DECIMAL = "'^[0-9]{1,12}([.][0-9]{1,6})?$'"
_PRICES = "self.cost.prices"
_RERANKERS = "(has(self.search.reranker) && self.search.reranker.enabled ? self.search.reranker.replicas : 0)"


def _amount(field: str) -> str:
    """CEL for a price that may be absent, and is nothing then."""
    return f"(has({_PRICES}.{field}) ? double({_PRICES}.{field}) : 0.0)"


def _nodes(field: str) -> str:
    """CEL for what nodes that may be absent cost for an hour."""
    nodes = f"{_PRICES}.{field}"
    return f"(has({nodes}) ? double({nodes}.count) * double({nodes}.nodeHour) : 0.0)"


_ENCODER_HOUR = f"double({_PRICES}.purchase == 'Spot' ? {_PRICES}.spotNodeHour : {_PRICES}.encoderNodeHour)"
_RERANKER_HOUR = f"(has({_PRICES}.rerankerNodeHour) ? double({_PRICES}.rerankerNodeHour) : {_ENCODER_HOUR})"
_UNRESERVED = (
    "double([self.encoder.autoscaling.minReplicas"
    f" - (has({_PRICES}.reserved) ? {_PRICES}.reserved.count : 0), 0].max())"
)
_MINIMUM = (
    f"(({_UNRESERVED} * {_ENCODER_HOUR} + {_nodes('reserved')}"
    f" + double({_RERANKERS}) * {_RERANKER_HOUR}"
    f" + {_nodes('milvusNodes')} + {_nodes('elasticsearchNodes')}"
    f" + double(self.search.replicas) * {_amount('gatewayHour')})"
    f" * {HOURS_OF_LONGEST_MONTH}.0"
    f" + (has({_PRICES}.storageGiB) ? double({_PRICES}.storageGiB) * double({_PRICES}.storageGiBMonth) : 0.0)"
    f" + {_amount('backupMonth')})"
)
_OPTIONAL_AMOUNTS = ("spotNodeHour", "rerankerNodeHour", "gatewayHour", "storageGiBMonth", "backupMonth")
_OPTIONAL_NODES = ("reserved", "milvusNodes", "elasticsearchNodes")
# Malformed amounts, and what lacks its counterpart, have rules of their own; this one passes them.
_PRICED = " && ".join(
    [
        f"has(self.cost) && has({_PRICES}) && self.cost.monthlyCap.matches({_DECIMAL})",
        f"{_PRICES}.encoderNodeHour.matches({_DECIMAL})",
        f"({_PRICES}.purchase != 'Spot' || has({_PRICES}.spotNodeHour))",
        f"has({_PRICES}.storageGiB) == has({_PRICES}.storageGiBMonth)",
        *(f"(!has({_PRICES}.{a}) || {_PRICES}.{a}.matches({_DECIMAL}))" for a in _OPTIONAL_AMOUNTS),
        *(f"(!has({_PRICES}.{n}) || {_PRICES}.{n}.nodeHour.matches({_DECIMAL}))" for n in _OPTIONAL_NODES),
    ]
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
