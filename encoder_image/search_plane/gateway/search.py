"""The story of one query."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

from search_plane.gateway import hooks
from search_plane.gateway.answer import Answer, Corrected, Facets, Hit, Path, Timings, UnderstoodQuery
from search_plane.gateway.candidates import depth_for, find
from search_plane.gateway.hooks import Reranker
from search_plane.gateway.joining import Shown, join
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.policy_file import Rules
from search_plane.gateway.query import Asked, Query, checked_query
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.sides import Asking, Found, Patience, Wanted, milliseconds_since
from search_plane.gateway.within import within
from search_plane.release.policy import Mode
from search_plane.understanding.understood import Understood, as_written


@dataclass(frozen=True, slots=True)
class Means:
    """What every query of a gateway is answered with, whatever its release. `rules` are those in force now."""

    patience: Patience
    metrics: GatewayMetrics
    rules: Callable[[], Rules]
    reranker: Reranker


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, and what it says of its release: that it answered, that it failed, or nothing (it was not asked)."""

    answer: Answer
    release_asked: bool
    release_failed: bool


async def search(path: ReleasePath, asked: Asked, means: Means, search_id: str = "") -> Outcome:
    """Answers wholly from one release: its encoder, its collection, then the catalogue as it is now.

    By meaning and by words side by side, fused; when one of them does not answer in time, from the other alone.
    Without the catalogue there still are hits, as the last refresh stored them, and where Milvus shows rows missing
    there may be nearer products. Any of this the answer says in `degraded`.

    Raises BadQuery, or Unavailable when neither way led to hits.
    """
    query = checked_query(asked, path.snapshot.top_k)
    started = perf_counter()
    until = asyncio.get_running_loop().time() + means.patience.budget
    rules = means.rules()
    understood = (
        hooks.understand(query.text, path.lexicon, rules.synonyms)
        if query.understand
        else as_written(query.text)
    )
    understanding = milliseconds_since(started)
    arm = hooks.arm_of(query.key, rules.policy.experiment) if rules.policy.experiment and query.key else None
    wanted = _wanted(path, query, understood, arm, rules)
    asking = Asking(path, means.metrics, means.patience, until)
    found, cached = await _candidates(asking, wanted)

    join_started = perf_counter()
    shown = Shown(_reach(path, query, rules), query.offset, query.wanted, query.highlight)
    joined, missing = await join(asking, wanted, found, shown)
    joining = milliseconds_since(join_started)
    rerank_started = perf_counter()
    ranked = await _reranked(query, rules, means.reranker, joined.hits, until)
    hits = (ranked or joined.hits)[query.offset : query.wanted]

    timings = Timings.model_construct(
        understand=understanding,
        embed=found.embed,
        vector=found.vector,
        keyword=found.keyword,
        join=joining,
        rerank=milliseconds_since(rerank_started) if ranked else 0.0,
        total=milliseconds_since(started),
    )
    degraded = list(dict.fromkeys((*found.degraded, *missing)))
    answer = Answer.model_construct(
        search_id=search_id,
        query=query.text,
        understood=_told(understood),
        release=path.snapshot.release,
        fingerprint=path.snapshot.fingerprint,
        policy=rules.revision,
        path=_path(found, hits),
        mode=wanted.mode,
        arm=arm,
        reranked=ranked is not None,
        cached=cached,
        degraded=degraded,
        hits=hits,
        total=len(hits),
        offset=query.offset,
        total_words=found.total_words,
        facets=Facets.model_validate(found.facets) if found.facets is not None else None,
        dropped=joined.dropped,
        timings_ms=timings,
    )
    means.metrics.answered(answer.release, answer.path, timings, joined.dropped, degraded)
    return Outcome(
        answer,
        release_asked=found.semantic_asked,
        release_failed=found.semantic_failed,
    )


def _wanted(
    path: ReleasePath, query: Query, understood: Understood, arm: Mode | None, rules: Rules
) -> Wanted:
    fusion = rules.policy.fusion
    return Wanted(
        mode=query.mode or arm or fusion.mode,
        understood=understood,
        within=within(query.filters, understood),
        depth=depth_for(_reach(path, query, rules), path.snapshot.milvus.ef),
        facets=query.facets,
        fusion=fusion,
    )


async def _candidates(asking: Asking, wanted: Wanted) -> tuple[Found, bool]:
    """Found now, or some seconds ago for an equal query; while rows are missing only now, so that it is told."""
    path = asking.path
    if path.vectors.wholeness.doubtful:
        return await find(asking, wanted), False
    found, cached = await path.candidates.get(
        wanted, lambda: find(asking, wanted), lambda one: not one.degraded
    )
    return (replace(found, embed=0.0, vector=0.0, keyword=0.0) if cached else found), cached


def _reach(path: ReleasePath, query: Query, rules: Rules) -> int:
    """How many products the answer is chosen from: to the page's end, or as many as are ordered anew."""
    policy = rules.policy.reranker
    if not query.rerank or policy is None:
        return query.wanted
    return max(query.wanted, min(policy.candidates, path.snapshot.top_k))


async def _reranked(
    query: Query, rules: Rules, reranker: Reranker, hits: list[Hit], until: float
) -> list[Hit] | None:
    """The hits in the cross-encoder's order; None where it was not asked or had no time."""
    policy = rules.policy.reranker
    if not query.rerank or policy is None or not hits:
        return None
    first, rest = hits[: policy.candidates], hits[policy.candidates :]
    ends = min(until, asyncio.get_running_loop().time() + policy.timeout_ms / 1000)
    scores = await reranker.order(query.text, [str(hit.title or "") for hit in first], ends)
    if scores is None:
        return None
    for hit, score in zip(first, scores, strict=True):
        hit.scores.rerank = hit.score = score
    ordered = sorted(first, key=lambda hit: -hit.score) + rest
    for rank, hit in enumerate(ordered, 1):
        hit.rank = rank
    return ordered


def _path(found: Found, hits: list[Hit]) -> Path:
    return "stored" if found.path == "semantic" and any(hit.stored for hit in hits) else found.path


def _told(understood: Understood) -> UnderstoodQuery:
    return UnderstoodQuery.model_construct(
        text=understood.text,
        brands=list(understood.brands),
        brand_certain=understood.brand_certain,
        whole=list(understood.whole),
        alternatives=[list(group) for group in understood.alternatives],
        excluded=list(understood.excluded),
        price=understood.price,
        corrections=[
            Corrected.model_construct(written=one.written, meant=one.meant) for one in understood.corrections
        ],
    )
