"""The story of one query."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

from pydantic import JsonValue

from search_plane.gateway.answer import Answer, Corrected, Facets, Hit, Path, Timings, UnderstoodQuery
from search_plane.gateway.candidates import depth_for, find
from search_plane.gateway.experiment import Assignment, assigned, in_cohort
from search_plane.gateway.filters import number
from search_plane.gateway.joining import Shown, join, mark
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.policy_file import Rules
from search_plane.gateway.preference import POOL, Seen, preferred, prefers
from search_plane.gateway.query import Asked, Query, checked_query
from search_plane.gateway.reranking import PolicyReranker, reordered
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.sides import Asking, Found, Patience, Wanted, milliseconds_since
from search_plane.gateway.within import within
from search_plane.release.policy import Mode
from search_plane.understanding.understand import understand
from search_plane.understanding.understood import Understood, as_written


@dataclass(frozen=True, slots=True)
class Means:
    """What every query of a gateway is answered with, whatever its release. `rules` are those in force now."""

    patience: Patience
    metrics: GatewayMetrics
    rules: Callable[[], Rules]
    reranker: PolicyReranker


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, what it says of its release (that it answered, that it failed, or nothing), and what the log is told."""

    answer: Answer
    release_asked: bool
    release_failed: bool
    query: Query
    assignment: Assignment | None = None
    cohort: bool | None = None


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
        understand(query.text, path.lexicon, rules.synonyms) if query.understand else as_written(query.text)
    )
    understanding = milliseconds_since(started)
    assignment = _assignment(query, rules)
    arm = assignment.arm if assignment else None
    rerank = means.reranker.wanted(query.rerank, query.key or None)
    reach = _reach(path, query, understood, rules, rerank)
    wanted = _wanted(path, query, understood, arm, rules, reach)
    asking = Asking(path, means.metrics, means.patience, until)
    found, cached = await _candidates(asking, wanted)

    join_started = perf_counter()
    anew = rerank or prefers(understood)
    shown = Shown(reach, query.offset, query.wanted, query.highlight and not anew)
    joined, missing = await join(asking, wanted, found, shown)
    joining = milliseconds_since(join_started)
    _prefer(joined.hits, understood)
    rerank_started = perf_counter()
    ranked = await _reranked(query, rules, means.reranker, joined.hits, until) if rerank else None
    reranking = milliseconds_since(rerank_started) if rerank else 0.0
    hits = (ranked or joined.hits)[query.offset : query.wanted]
    if query.highlight and anew:
        missing += await mark(asking, wanted, hits)

    timings = Timings.model_construct(
        understand=understanding,
        embed=found.embed,
        vector=found.vector,
        keyword=found.keyword,
        join=joining,
        rerank=reranking,
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
        query=query,
        assignment=assignment,
        cohort=_cohort(query, rules),
    )


def _assignment(query: Query, rules: Rules) -> Assignment | None:
    """The experiment's arm of whoever asks, where there is an experiment and a key."""
    experiment = rules.policy.experiment
    return assigned(query.key, experiment) if experiment is not None and query.key else None


def _wanted(
    path: ReleasePath, query: Query, understood: Understood, arm: Mode | None, rules: Rules, reach: int
) -> Wanted:
    fusion = rules.policy.fusion
    bounds = within(query.filters, understood)
    return Wanted(
        mode=query.mode or arm or fusion.mode,
        understood=understood,
        within=bounds,
        depth=depth_for(reach, path.snapshot.milvus.ef, bounds.thins),
        facets=query.facets,
        fusion=fusion,
        filters=query.filters,
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


def _cohort(query: Query, rules: Rules) -> bool | None:
    """Whether the user is in the re-ranker's cohort, where there is one and the caller left it to that."""
    policy = rules.policy.reranker
    if policy is None or query.rerank is not None or not query.key:
        return None
    return in_cohort(query.key, policy)


def _reach(path: ReleasePath, query: Query, understood: Understood, rules: Rules, rerank: bool) -> int:
    """How many products the answer is chosen from: to the page's end, or as many as are ordered anew."""
    reach = query.wanted
    if prefers(understood):
        reach = max(reach, POOL)
    if rerank and rules.policy.reranker is not None:
        reach = max(reach, rules.policy.reranker.candidates)
    return max(query.wanted, min(reach, path.snapshot.top_k))


def _prefer(hits: list[Hit], understood: Understood) -> None:
    """Orders the hits anew by what the query says beside its words, and their ranks with them."""
    if not prefers(understood):
        return
    seen = [
        Seen(_text(hit.title), _text(hit.category), number(hit.price), hit.scores.semantic) for hit in hits
    ]
    hits[:] = [hits[place] for place in preferred(seen, understood)]
    for rank, hit in enumerate(hits, 1):
        hit.rank = rank


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


async def _reranked(
    query: Query, rules: Rules, reranker: PolicyReranker, hits: list[Hit], until: float
) -> list[Hit] | None:
    """The hits in the cross-encoder's order; None where it had no room or no time."""
    policy = rules.policy.reranker
    if policy is None:
        return None
    scores = await reranker.order(query.text, [str(hit.title or "") for hit in hits], until)
    if scores is None:
        return None
    for hit, score in zip(hits, scores, strict=False):
        hit.scores.rerank = score
    ordered = reordered(hits, scores, policy.results)
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
        excluded_brands=list(understood.excluded_brands),
        price=understood.price,
        price_min=understood.price_min,
        price_max=understood.price_max,
        corrections=[
            Corrected.model_construct(written=one.written, meant=one.meant) for one in understood.corrections
        ],
    )
