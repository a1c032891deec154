"""What gateways are told of how to answer: the search part of the spec as policy.json."""

from decimal import Decimal

from search_plane.release.policy import (
    BreakerPolicy,
    ExperimentPolicy,
    Fusion,
    Mode,
    RerankerPolicy,
    SearchPolicy,
)

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.search import Experiment
from search_operator.api.values import decimal_of, duration_of
from search_operator.render.reranker import reranker_of, reranker_url


def policy_of(index: SemanticSearchIndex) -> SearchPolicy:
    """The policy that the spec declares; no part of it shapes a release."""
    search = index.spec.search
    experiment, reranker = search.experiment, reranker_of(index)
    return SearchPolicy(
        fusion=Fusion(
            mode=search.hybrid.mode,
            semantic_weight=float(search.hybrid.semantic_weight),
            keyword_weight=float(search.hybrid.keyword_weight),
        ),
        synonyms=tuple(line.strip() for line in search.synonyms),
        breaker=BreakerPolicy(
            latency_ms=_milliseconds(search.breaker.latency),
            window_seconds=duration_of(search.breaker.window).total_seconds(),
        ),
        reranker=RerankerPolicy(
            url=reranker_url(index),
            candidates=reranker.candidates,
            results=reranker.results,
            max_share=float(reranker.max_share),
            cohort_share=float(reranker.cohort_share),
            timeout_ms=_milliseconds(reranker.timeout),
        )
        if reranker
        else None,
        experiment=ExperimentPolicy(name=experiment.name, arms=arms_of(experiment))
        if experiment and experiment.enabled
        else None,
    )


def arms_of(experiment: Experiment) -> tuple[tuple[Mode, float], ...]:
    """The shares of users by mode; by default half fused, half keyword."""
    if experiment.arms:
        return tuple((arm.mode, float(arm.share)) for arm in experiment.arms)
    if experiment.semantic_share is not None:
        share = decimal_of(experiment.semantic_share)
        return ("semantic", float(share)), ("keyword", float(Decimal(1) - share))
    return ExperimentPolicy().arms


def _milliseconds(duration: str) -> float:
    return duration_of(duration).total_seconds() * 1000
