"""What may answer a query: found by meaning and by words side by side, each with its own deadline, then fused."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from search_plane.gateway.answer import Path
from search_plane.gateway.catalogue_query import told_facets, words_search
from search_plane.gateway.faults import Dependency, Unavailable
from search_plane.gateway.fusion import TIER, fuse_in_tiers
from search_plane.gateway.hooks import Guards
from search_plane.gateway.join import Candidate, Words
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.wholeness import search_depth
from search_plane.gateway.within import Within
from search_plane.release.policy import Fusion, Mode
from search_plane.understanding.understood import Understood


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a query may take in all, and how long it waits for its search by meaning.

    `keywords_after`: when a query that is asked by meaning is looked for by its words too; None: never.
    `semantic_wait`: when a fused query that has its words' hits goes without the search by meaning.
    """

    budget: float
    keywords_after: float | None
    semantic_wait: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that determines which products may answer, and in what order: equal ones have equal candidates."""

    mode: Mode
    understood: Understood
    within: Within
    depth: int
    facets: bool
    fusion: Fusion


@dataclass(frozen=True, slots=True)
class Found:
    """What may answer, best first, before the catalogue was asked what these products are now. Times in milliseconds.

    `semantic_failed`: the release's own search was needed and did not answer.
    """

    path: Path
    candidates: tuple[Candidate, ...]
    degraded: tuple[str, ...] = ()
    semantic_failed: bool = False
    words_late: bool = False
    total_words: int | None = None
    facets: dict[str, Any] | None = None
    embed: float = 0.0
    vector: float = 0.0
    keyword: float = 0.0

    def size(self) -> int:
        """About how many bytes it takes."""
        return 400 + 300 * len(self.candidates)


@dataclass(frozen=True, slots=True)
class Asking:
    """One query under way: the release's path, its guards, and the loop's time at which it must have an answer."""

    path: ReleasePath
    guards: Guards
    metrics: GatewayMetrics
    patience: Patience
    until: float


def depth_for(wanted: int, ef: int) -> int:
    """How many products each search is asked for, so that so many remain of them. Never so many that ef must grow.

    One depth for all first pages and one for all deeper ones: pages of one query are cut from the same order.
    """
    pool = TIER if wanted < TIER else max(wanted, 2 * TIER)
    return min(search_depth(pool, max(ef, 2 * pool)), max(search_depth(wanted, ef), ef))


async def find(asking: Asking, wanted: Wanted) -> Found:
    """Candidates by the wanted mode; by the other way, and marked, when that fails. Raises Unavailable without either."""
    if wanted.mode == "semantic":
        return await _by_meaning_first(asking, wanted)
    if wanted.mode == "keyword":
        return await _by_words_first(asking, wanted)
    return await _by_both(asking, wanted)


async def _by_both(asking: Asking, wanted: Wanted) -> Found:
    """Both side by side. The words wait for the meaning for `semantic_wait` at most, the meaning for the words' deadline."""
    meaning = _Meaning(asking, wanted)
    near = _started(meaning.search())
    words = _started(_by_words(asking, wanted))
    started = asyncio.get_running_loop().time()
    try:
        await asyncio.wait((near, words), timeout=asking.patience.semantic_wait)
        without_words = await _fault_of(words)
        if without_words is None and not near.done():
            left = started + asking.patience.semantic_wait - asyncio.get_running_loop().time()
            await asyncio.wait((near,), timeout=max(0.0, left))
            if not near.done():
                asking.metrics.failed(meaning.late())
                return replace(
                    words.result(), degraded=_and("semantic", words.result()), semantic_failed=True
                )
        without_meaning = await _fault_of(near)
        if without_meaning is not None:
            if without_words is not None:
                asking.metrics.failed(without_words)
                raise without_meaning
            asking.metrics.failed(without_meaning)
            return replace(words.result(), degraded=_and("semantic", words.result()), semantic_failed=True)
        if without_words is not None:
            asking.metrics.failed(without_words)
            late = without_words.reason == "timeout"
            return replace(near.result(), degraded=_and("keyword", near.result()), words_late=late)
        return fused(near.result(), words.result(), wanted.fusion)
    finally:
        near.cancel()
        words.cancel()


def fused(meaning: Found, words: Found, fusion: Fusion) -> Found:
    """Both orders as one. Pure."""
    semantic = {one.id: one for one in meaning.candidates}
    keyword = {one.id: one for one in words.candidates}
    candidates = []
    for identifier, score in fuse_in_tiers(list(semantic), list(keyword), fusion):
        near, worded = semantic.get(identifier), keyword.get(identifier)
        candidates.append(
            Candidate(
                identifier,
                score,
                near.semantic if near else None,
                worded.keyword if worded else None,
                score,
                near.stored if near else None,
            )
        )
    return replace(
        words,
        path="fused",
        candidates=tuple(candidates),
        degraded=(*meaning.degraded, *words.degraded),
        embed=meaning.embed,
        vector=meaning.vector,
    )


async def _by_meaning_first(asking: Asking, wanted: Wanted) -> Found:
    """By meaning; by words when that fails, begun before it is known so that both fit into one budget."""
    after = asking.patience.keywords_after
    meaning = _Meaning(asking, wanted)
    near = _started(meaning.search())
    counted = _started(_by_words(asking, wanted, size=0)) if wanted.facets else None
    words: asyncio.Task[Found] | None = None
    try:
        await asyncio.wait((near,), timeout=after)
        if after is not None and (not near.done() or isinstance(near.exception(), Unavailable)):
            words = _started(_by_words(asking, wanted))
        fault = await _fault_of(near)
        if fault is None:
            return await _with_facets(near.result(), counted, asking)
        if words is None or await _fault_of(words) is not None:
            raise fault
        asking.metrics.failed(fault)
        return replace(words.result(), degraded=_and("semantic", words.result()), semantic_failed=True)
    finally:
        near.cancel()
        for task in (words, counted):
            if task is not None:
                task.cancel()


async def _with_facets(near: Found, counted: "asyncio.Task[Found] | None", asking: Asking) -> Found:
    if counted is None:
        return near
    if (fault := await _fault_of(counted)) is not None:
        asking.metrics.failed(fault)
        return replace(near, degraded=(*near.degraded, "facets"))
    words = counted.result()
    return replace(near, facets=words.facets, total_words=words.total_words, keyword=words.keyword)


async def _by_words_first(asking: Asking, wanted: Wanted) -> Found:
    """By words, as was asked for; by meaning when the catalogue does not answer."""
    try:
        return await _by_words(asking, wanted)
    except Unavailable as fault:
        asking.metrics.failed(fault)
        near = await _Meaning(asking, wanted).search()
        return replace(near, degraded=_and("keyword", near), words_late=fault.reason == "timeout")


class _Meaning:
    """The search by meaning of one query; it knows what it waits for."""

    def __init__(self, asking: Asking, wanted: Wanted) -> None:
        self._asking = asking
        self._wanted = wanted
        self._waits_for: Dependency = "encoder"

    def late(self) -> Unavailable:
        """The fault of not having answered when it was waited for no longer."""
        who = "the encoder" if self._waits_for == "encoder" else "Milvus"
        return Unavailable(self._waits_for, "late", f"{who} did not answer in time")

    async def search(self) -> Found:
        """The nearest in the release's collection to the vector that its encoder makes. Raises Unavailable."""
        return await self._asking.guards.semantic.call(self._search, judge_latency=True)

    async def _search(self) -> Found:
        asking, wanted, path = self._asking, self._wanted, self._asking.path
        path.refuse_mismatch()
        started = perf_counter()
        vector, _ = await path.query_vectors.get(
            wanted.understood.text,
            lambda: asking.guards.encoder.call(
                lambda: path.encoder.embed(wanted.understood.text, asking.until), judge_latency=False
            ),
        )
        embedded = milliseconds_since(started)
        self._waits_for = "milvus"
        started = perf_counter()
        nearest = await asking.guards.milvus.call(
            lambda: path.nearest(vector, wanted.depth, asking.until, wanted.within.filters),
            judge_latency=False,
        )
        return Found(
            "semantic",
            tuple(
                Candidate(one.id, one.score, one.score, stored=getattr(one, "stored", None))
                for one in nearest.neighbours
            ),
            () if nearest.whole else ("vectors",),
            embed=embedded,
            vector=milliseconds_since(started),
        )


async def _by_words(asking: Asking, wanted: Wanted, size: int | None = None) -> Found:
    """What the catalogue itself finds for the query's words. Raises Unavailable."""
    started = perf_counter()
    catalogue = asking.path.catalogue
    body = words_search(
        wanted.understood,
        catalogue.fields,
        wanted.within.filters,
        asking.path.snapshot.catalogue.filter,
        wanted.depth if size is None else size,
        wanted.facets,
    )
    words: Words = await asking.guards.elasticsearch.call(
        lambda: catalogue.matching(body, wanted.understood.text, asking.until), judge_latency=False
    )
    return Found(
        "keyword",
        tuple(Candidate(identifier, score, keyword=score) for identifier, score in words.matching),
        () if words.whole else ("keyword",),
        total_words=words.total,
        facets=told_facets(words.facets) if words.facets is not None else None,
        keyword=milliseconds_since(started),
    )


def _started(work: Coroutine[Any, Any, Found]) -> "asyncio.Task[Found]":
    task = asyncio.ensure_future(work)
    # Looked at here: nobody asks why a search failed that was not needed in the end.
    task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return task


async def _fault_of(task: "asyncio.Task[Found]") -> Unavailable | None:
    """Waits for the task; what it lacked, or None for an answer."""
    try:
        await task
    except Unavailable as fault:
        return fault
    return None


def _and(part: str, found: Found) -> tuple[str, ...]:
    return (part, *(one for one in found.degraded if one != part))


def milliseconds_since(start: float) -> float:
    """Since a reading of perf_counter."""
    return round((perf_counter() - start) * 1000, 3)
