"""What may answer a query: found by meaning and by words side by side, each with its own deadline, then fused."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final

from search_plane.gateway.faults import Unavailable, turned_away
from search_plane.gateway.fusion import TIER, fuse_in_tiers, weighed
from search_plane.gateway.join import Candidate
from search_plane.gateway.sides import Asking, Found, Meaning, Patience, Wanted, by_words
from search_plane.gateway.wholeness import search_depth
from search_plane.release.policy import Fusion

# Why words are missing where the catalogue can't be relied on for the join: it took too long, or is left alone.
_IN_DOUBT: Final = frozenset({"late", "timeout", "open"})


def depth_for(wanted: int, ef: int, thinned: bool = False) -> int:
    """How many products each search is asked for, so that so many remain of them. Never so many that ef must grow.

    `thinned`: only the join sees which of them may be hits, so that more are needed.

    One depth for all first pages and one for all deeper ones: pages of one query are cut from the same order.
    """
    pool = TIER if wanted < TIER and not thinned else max(wanted, 2 * TIER)
    return min(search_depth(pool, max(ef, 2 * pool)), max(search_depth(wanted, ef), ef))


async def find(asking: Asking, wanted: Wanted) -> Found:
    """Candidates by the wanted mode; by the other way, and marked, when that fails. Raises Unavailable without either."""
    if wanted.mode == "semantic":
        return await _by_meaning_first(asking, wanted)
    if wanted.mode == "keyword":
        return await _by_words_first(asking, wanted)
    return await _by_both(asking, wanted)


async def _by_both(asking: Asking, wanted: Wanted) -> Found:
    """Both side by side. The words wait for the meaning for `semantic_wait` at most, the meaning for the words so long
    that the catalogue has time left for the join.
    """
    meaning = Meaning(asking, wanted)
    near = _started(meaning.search())
    words = _started(by_words(asking, wanted))
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + asking.path.guards.patience(asking.patience.semantic_wait)
    try:
        no_words = await _late_or_fault_of(words, near, asking.patience)
        if no_words is None:
            if not near.done():
                await asyncio.wait((near,), timeout=max(0.0, patience_ends - loop.time()))
            no_meaning = await _fault_of(near) if near.done() else meaning.late()
            if no_meaning is None:
                fusion = weighed(wanted.fusion, wanted.understood.known)
                return fused(near.result(), words.result(), fusion)
            asking.metrics.failed(no_meaning)
            return _words_alone(words.result(), no_meaning)
        no_meaning = await _fault_of(near)
        asking.metrics.failed(no_words)
        if no_meaning is None:
            return _meaning_alone(near.result(), no_words, wanted)
        return await _regardless(asking, wanted, no_words, no_meaning)
    finally:
        near.cancel()
        words.cancel()


async def _late_or_fault_of(
    words: "asyncio.Task[Found]", near: "asyncio.Task[Found]", patience: Patience
) -> Unavailable | None:
    """As `_fault_of` the words; those that leave the join no time are late once there are hits by meaning."""
    await asyncio.wait((words,), timeout=patience.catalogue - patience.catalogue_last)
    if not words.done():
        await asyncio.wait((words, near), return_when=asyncio.FIRST_COMPLETED)
    if words.done() or near.exception() is not None:
        return await _fault_of(words)
    return Unavailable("elasticsearch", "late", "the catalogue's search did not answer in time")


async def _regardless(
    asking: Asking, wanted: Wanted, no_words: Unavailable, no_meaning: Unavailable
) -> Found:
    """The last way left: words that were only turned away by their breaker are asked for all the same."""
    if no_words.reason != "open":
        raise no_meaning
    try:
        words = await by_words(asking, wanted, regardless=True)
    except Unavailable as fault:
        asking.metrics.failed(fault)
        raise no_meaning from None
    asking.metrics.failed(no_meaning)
    return _words_alone(words, no_meaning)


def _words_alone(words: Found, no_meaning: Unavailable) -> Found:
    """What words found, where the meaning was wanted too. A query that a blip turned away says nothing of the release."""
    asked = not turned_away(no_meaning)
    return replace(
        words, degraded=_and("semantic", words.degraded), semantic_asked=asked, semantic_failed=asked
    )


def _meaning_alone(near: Found, no_words: Unavailable, wanted: Wanted) -> Found:
    """What meaning found, where words were wanted too."""
    missing = ("keyword", "facets") if wanted.facets else ("keyword",)
    return replace(near, degraded=(*missing, *near.degraded), catalogue_in_doubt=no_words.reason in _IN_DOUBT)


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
            )
        )
    return replace(
        words,
        path="fused",
        candidates=tuple(candidates),
        degraded=(*meaning.degraded, *words.degraded),
        semantic_asked=True,
        embed=meaning.embed,
        vector=meaning.vector,
    )


async def _by_meaning_first(asking: Asking, wanted: Wanted) -> Found:
    """By meaning; by words when that fails, begun before it is known so that both fit into one budget."""
    after = asking.patience.keywords_after
    meaning = Meaning(asking, wanted)
    near = _started(meaning.search())
    counted = _started(by_words(asking, wanted, size=0)) if wanted.facets else None
    words: asyncio.Task[Found] | None = None
    try:
        await asyncio.wait((near,), timeout=after)
        if after is not None and (not near.done() or isinstance(near.exception(), Unavailable)):
            words = _started(by_words(asking, wanted))
        no_meaning = await _fault_of(near)
        if no_meaning is None:
            return await _with_facets(near.result(), counted, asking)
        if words is None:
            raise no_meaning
        no_words = await _fault_of(words)
        if no_words is not None:
            return await _regardless(asking, wanted, no_words, no_meaning)
        asking.metrics.failed(no_meaning)
        return _words_alone(words.result(), no_meaning)
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
        return await by_words(asking, wanted)
    except Unavailable as fault:
        no_words = fault
    asking.metrics.failed(no_words)
    try:
        return _meaning_alone(await Meaning(asking, wanted).search(), no_words, wanted)
    except Unavailable as no_meaning:
        return await _regardless(asking, wanted, no_words, no_meaning)


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


def _and(part: str, degraded: tuple[str, ...]) -> tuple[str, ...]:
    return (part, *(one for one in degraded if one != part))
