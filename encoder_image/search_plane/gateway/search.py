"""The story of one query."""

import asyncio
from time import perf_counter

from search_plane.gateway.answer import Answer, Timings
from search_plane.gateway.collection import Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.join import Document, Joined, merge
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.query import checked_query
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.wholeness import search_depth


async def search(path: ReleasePath, q: str, k: int, budget_seconds: float, metrics: GatewayMetrics) -> Answer:
    """Answers `q` wholly from one release: its encoder, its collection, then the catalogue as it is now.

    Raises BadQuery, or Unavailable when the encoder or Milvus does not answer within its deadline.
    Without the catalogue there still are hits, but nobody knows their price, and where Milvus shows rows missing
    there may be nearer products: the answer says `degraded`.
    """
    query = checked_query(q, k, path.snapshot.top_k)
    started = perf_counter()
    until = asyncio.get_running_loop().time() + budget_seconds

    vector = await path.encoder.embed(query.text, until)
    embedded = perf_counter()
    nearest = await path.vectors.nearest(vector, search_depth(query.k, path.snapshot.milvus.ef), until)
    found = perf_counter()
    joined = await _join(path, nearest.neighbours, query.k, until, metrics)
    finished = perf_counter()

    timings = Timings(
        embed=_milliseconds(started, embedded),
        vector=_milliseconds(embedded, found),
        join=_milliseconds(found, finished),
        total=_milliseconds(started, finished),
    )
    degraded = [] if nearest.whole else ["vectors"]
    if joined.unknown:
        degraded.append("catalogue")
    answer = Answer.model_construct(
        query=query.text,
        release=path.snapshot.release,
        fingerprint=path.snapshot.fingerprint,
        path="semantic",
        degraded=degraded,
        hits=joined.hits,
        total=len(joined.hits),
        dropped=joined.dropped,
        timings_ms=timings,
    )
    metrics.answered(answer.release, answer.path, timings, joined.dropped, degraded)
    return answer


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


def _milliseconds(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
