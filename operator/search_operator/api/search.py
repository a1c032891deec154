"""The search: the gateway that answers queries, and how it answers them."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.entry import Entry
from search_operator.api.kubernetes import ObjectRef, Resources
from search_operator.api.reranker import Reranker
from search_operator.api.schema import ApiModel, Cel, atomic, list_map, rules
from search_operator.api.values import Duration, Image, Ratio, at_least, at_most, is_ratio

Mode = Literal["fused", "semantic", "keyword"]


class Hybrid(ApiModel):
    """How the search by meaning and the search by words come together."""

    model_config = rules(
        Cel(
            f"!({is_ratio('self.semanticWeight')} && {is_ratio('self.keywordWeight')})"
            " || double(self.semanticWeight) + double(self.keywordWeight) > 0.0",
            "semanticWeight and keywordWeight are both 0; raise one of them, or write mode: semantic or keyword",
            ".semanticWeight",
        )
    )

    mode: Mode = "fused"
    """What answers a query that names no mode: both searches fused, or one of them alone."""
    semantic_weight: Ratio = "0.5"
    """Weight of the search by meaning."""
    keyword_weight: Ratio = "0.5"
    """Weight of the search by words."""


class Breaker(ApiModel):
    """When the gateway stops waiting for a search by meaning that is slow or fails, and answers by words alone."""

    latency: Annotated[Duration, at_least("10ms"), at_most("10s")] = "150ms"
    """95th percentile of the search by meaning that opens it."""
    window: Annotated[Duration, at_least("1s"), at_most("5m")] = "10s"
    """Time over which it is measured."""


class Arm(ApiModel):
    """One side of an experiment."""

    mode: Mode
    """How its queries are answered."""
    share: Ratio
    """Its share of users."""


_SHARES = "self.arms"


class Experiment(ApiModel):
    """A sticky A/B test: each user, by a hash of their key, stays with one way to be answered."""

    model_config = rules(
        Cel(
            "!has(self.arms) || size(self.arms) == 0 || !has(self.semanticShare)",
            "an experiment has arms or semanticShare; remove one of the two",
            ".semanticShare",
        ),
        # Six decimals, so that three thirds may be written.
        Cel(
            f"!has({_SHARES}) || size({_SHARES}) == 0 || !{_SHARES}.all(a, {is_ratio('a.share')})"
            f" || ({_SHARES}.map(a, double(a.share)).sum() > 0.99999"
            f" && {_SHARES}.map(a, double(a.share)).sum() < 1.00001)",
            "the arms' shares must sum to 1; change one of them",
            ".arms",
        ),
    )

    enabled: bool = False
    """Whether it runs."""
    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        Cel(
            "self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')",
            "must be a name of letters, digits, dots and dashes, e.g. fused-vs-keyword-2026-11",
        ),
    ] = "default"
    """Its name; with another one users are shared out anew."""
    arms: Annotated[tuple[Arm, ...], Field(max_length=3), list_map("mode")] = ()
    """Shares of users by mode, summing to 1; by default half fused, half keyword."""
    semantic_share: Ratio | None = None
    """In place of arms: the share that is answered by meaning alone, the rest by words alone."""


class SearchLog(ApiModel):
    """What is noted of each answer and click, for experiments and reports; never who asked, but for a salted bucket."""

    destination: Literal["Stdout", "Elasticsearch", "None"] = "Stdout"
    """JSON lines on the gateways' output, documents in the catalogue's Elasticsearch, or nothing."""
    index: Annotated[
        str,
        Field(max_length=200),
        Cel(
            "self == '' || self.matches('^[a-z0-9][a-z0-9._-]*$')",
            "must be a name that Elasticsearch takes for an index: small letters, digits, dots and dashes, "
            "e.g. search-log",
        ),
    ] = ""
    """Index for destination Elasticsearch; empty means search-log-<namespace>-<name>."""
    salt_secret_ref: ObjectRef | None = None
    """Secret whose key `salt` goes into the hash of a user's key; by default the index's uid does, which is no secret."""


# The term of a line: anything but the three signs that divide, and not only blanks.
_TERM = r"[^,=>]*[^,=> \t][^,=>]*"
# As many on a side as gateways read.
_TERMS = f"{_TERM}(,{_TERM}){{0,62}}"
Synonyms = Annotated[
    str,
    Field(min_length=3, max_length=512),
    Cel(
        "!self.matches('[\\uFF0C\\u3001\\uFF1B\\uFF1D\\uFF1E]')",
        "divides words by full-width signs; write them in half width, e.g. a, b or a => b",
    ),
    Cel(
        f"self.matches('[\\uFF0C\\u3001\\uFF1B\\uFF1D\\uFF1E]') || self.matches(r'^{_TERMS}(,{_TERM}|=>{_TERMS})$')",
        'must be "a, b, c", words that mean the same, or "a, b => c, d", words that are also looked for when the '
        "first ones are written; at most 63 words on a side",
    ),
]
"""One line of synonyms."""


class Search(ApiModel):
    """The gateway."""

    model_config = rules(
        Cel(
            "!has(self.reranker) || !self.reranker.enabled || self.reranker.candidates <= self.topK",
            "reranker.candidates is above topK, and no more hits than that are found; lower it or raise topK",
            ".reranker.candidates",
            "'reranker.candidates %d is above topK %d, and no more hits than that are found; lower it or raise topK'"
            ".format([self.reranker.candidates, self.topK])",
        )
    )

    image: Image = ""
    """Image of the gateway, the jobs and the re-ranker; empty means the operator's own."""
    replicas: Annotated[int, Field(ge=1, le=1000)] = 3
    """Gateways that run."""
    top_k: Annotated[int, Field(ge=1, le=16384)] = 100
    """Depth of the vector search, and the most hits a query may ask for."""
    resources: Resources = Resources(requests={"cpu": "500m", "memory": "256Mi"}, limits={"memory": "1Gi"})
    """CPU and memory of each gateway."""
    hybrid: Hybrid = Hybrid()
    """Fusion with the search by words: on by default."""
    synonyms: Annotated[tuple[Synonyms, ...], Field(max_length=256), atomic()] = ()
    """Lines of words that mean the same, "a, b, c", or one way, "a => b, c"; in force within seconds, without a reindex."""
    breaker: Breaker = Breaker()
    """When a search by meaning that is slow or fails is skipped."""
    reranker: Reranker | None = None
    """Re-ranking of the first hits; off by default."""
    experiment: Experiment | None = None
    """A/B test; off by default."""
    log: SearchLog = SearchLog()
    """The log of answers and clicks."""
    entry: Entry | None = None
    """How queries come in from outside of the cluster; by default only the Service is there."""
