"""The story of one query."""

import asyncio
from dataclasses import dataclass
from time import perf_counter

from search_plane.gateway.answer import Answer, Path, Timings
from search_plane.gateway.collection import Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.join import Document, Joined, merge
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.query import Query, checked_query
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.wholeness import search_depth


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a query may take in all, and after which it is looked for by its words too (None: never)."""

    budget: float
    keywords_after: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found before the catalogue was asked what these products are now. Times in milliseconds."""

    path: Path
    neighbours: list[Neighbour]
    degraded: tuple[str, ...] = ()
    embed: float = 0.0
    vector: float = 0.0
    keyword: float = 0.0


async def search(path: ReleasePath, q: str, k: int, patience: Patience, metrics: GatewayMetrics) -> Answer:
    """Answers `q` wholly from one release: its encoder, its collection, then the catalogue as it is now.

    When the encoder or Milvus does not answer within its deadline, the query's words are looked for in the catalogue
    instead. Without the catalogue there still are hits, but nobody knows their price, and where Milvus shows rows
    missing there may be nearer products. Any of this the answer says in `degraded`.

    Raises BadQuery, or Unavailable when neither way led to hits.
    """
    query = checked_query(q, k, path.snapshot.top_k)
    started = perf_counter()
    until = asyncio.get_running_loop().time() + patience.budget

    found = await _find(path, query, until, patience.keywords_after, metrics)
    join_started = perf_counter()
    joined = await _join(path, found.neighbours, query.k, until, metrics)

    timings = Timings(
        embed=found.embed,
        vector=found.vector,
        keyword=found.keyword,
        join=_milliseconds_since(join_started),
        total=_milliseconds_since(started),
    )
    degraded = [*found.degraded, "catalogue"] if joined.unknown else list(found.degraded)
    answer = Answer.model_construct(
        query=query.text,
        release=path.snapshot.release,
        fingerprint=path.snapshot.fingerprint,
        path=found.path,
        degraded=degraded,
        hits=joined.hits,
        total=len(joined.hits),
        dropped=joined.dropped,
        timings_ms=timings,
    )
    metrics.answered(answer.release, answer.path, timings, joined.dropped, degraded)
    return answer


async def _find(
    path: ReleasePath, query: Query, until: float, keywords_after: float | None, metrics: GatewayMetrics
) -> Found:
    """By meaning; by words when that fails, begun before it is known so that both fit into one budget."""
    if keywords_after is None:
        return await _by_meaning(path, query, until)
    meaning = asyncio.ensure_future(_by_meaning(path, query, until))
    words: asyncio.Task[Found | None] | None = None
    try:
        await asyncio.wait([meaning], timeout=keywords_after)
        if not meaning.done() or isinstance(meaning.exception(), Unavailable):
            words = asyncio.ensure_future(_by_words(path, query, until))
        try:
            return await meaning
        except Unavailable as fault:
            if words is None or (found := await words) is None:
                raise
            metrics.failed(fault)
            return found
    finally:
        meaning.cancel()
        if words is not None:
            words.cancel()


async def _by_meaning(path: ReleasePath, query: Query, until: float) -> Found:
    """The nearest in the release's collection to the vector that its encoder makes. Raises Unavailable."""
    path.refuse_mismatch()
    started = perf_counter()
    vector = await path.encoder.embed(query.text, until)
    embedded = _milliseconds_since(started)
    started = perf_counter()
    nearest = await path.vectors.nearest(vector, search_depth(query.k, path.snapshot.milvus.ef), until)
    degraded = () if nearest.whole else ("vectors",)
    return Found(
        "semantic", nearest.neighbours, degraded, embed=embedded, vector=_milliseconds_since(started)
    )


async def _by_words(path: ReleasePath, query: Query, until: float) -> Found | None:
    """What the catalogue itself finds for the query's words; None when it does not answer either."""
    started = perf_counter()
    try:
        matching = await path.catalogue.matching(query.text, query.k, until)
    except Unavailable:
        return None
    return Found("keyword", matching, ("semantic",), keyword=_milliseconds_since(started))


async def _join(
    path: ReleasePath, neighbours: list[Neighbour], k: int, until: float, metrics: GatewayMetrics
) -> Joined:
    """The first k that exist. Those beyond k are asked for only when some of the first are gone."""
    documents: dict[str, Document | None] = {}
    try:
        for part in (neighbours[:k], neighbours[k:]):
            documents |= await path.catalogue.documents([neighbour.id for neighbour in part], until)
            if None not in documents.values():
                break
    except Unavailable as fault:
        metrics.failed(fault)
    return merge(neighbours, documents, path.snapshot.catalogue.fields, k)


def _milliseconds_since(start: float) -> float:
    return round((perf_counter() - start) * 1000, 3)
