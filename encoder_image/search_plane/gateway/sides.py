"""The two searches of one query, by meaning and by words: what each is asked, and what it found."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from search_plane.gateway.answer import Path
from search_plane.gateway.catalogue_answers import Words
from search_plane.gateway.catalogue_query import told_facets, words_search
from search_plane.gateway.faults import Dependency, Unavailable
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.gateway.join import Candidate
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.within import Within
from search_plane.release.policy import Fusion, Mode
from search_plane.understanding.understood import Understood

# A catalogue that is well tells what hits are in some milliseconds; one that searches too long may still do so.
JOIN_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a query may take in all, and how long it waits for its search by meaning.

    `keywords_after`: when a query that is asked by meaning is looked for by its words too; None: never.
    `semantic_wait`: when a fused query that has its words' hits goes without the search by meaning. `catalogue`: how
    long the catalogue may take for one call; for all of a query that was given its search and a join in doubt.
    """

    budget: float
    keywords_after: float | None
    semantic_wait: float
    catalogue: float

    @property
    def catalogue_last(self) -> float:
        """The end of `catalogue`, which a search that is late leaves to the join."""
        return min(JOIN_SECONDS, self.catalogue / 5)


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that determines which products may answer, and in what order: equal ones have equal candidates."""

    mode: Mode
    understood: Understood
    within: Within
    depth: int
    facets: bool
    fusion: Fusion
    filters: Filters = NO_FILTERS
    """The caller's own part of `within`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What may answer, best first, before the catalogue was asked what these products are now. Times in milliseconds.

    `semantic_asked`: the release's own search was asked; `semantic_failed`: it was needed and did not answer.
    `catalogue_in_doubt`: the search by words was too late or turned away, so that the join hardly is in time.
    """

    path: Path
    candidates: tuple[Candidate, ...]
    degraded: tuple[str, ...] = ()
    semantic_asked: bool = True
    semantic_failed: bool = False
    catalogue_in_doubt: bool = False
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
    """One query under way: the release's path, and the loop's time at which it must have an answer."""

    path: ReleasePath
    metrics: GatewayMetrics
    patience: Patience
    until: float


class Meaning:
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
        return await self._asking.path.guards.semantic.call(self._search, judge_latency=True)

    async def _search(self) -> Found:
        asking, wanted, path = self._asking, self._wanted, self._asking.path
        path.refuse_mismatch()
        started = perf_counter()
        vector, _ = await path.query_vectors.get(
            wanted.understood.text,
            lambda: asking.path.guards.encoder.call(
                lambda: path.encoder.embed(wanted.understood.text, asking.until), judge_latency=False
            ),
        )
        embedded = milliseconds_since(started)
        self._waits_for = "milvus"
        started = perf_counter()
        nearest = await asking.path.guards.milvus.call(
            lambda: path.vectors.nearest(
                vector, wanted.depth, asking.until, wanted.within.milvus(path.vectors.stores_fields)
            ),
            judge_latency=False,
        )
        return Found(
            "semantic",
            tuple(Candidate(one.id, one.score, one.score) for one in nearest.neighbours),
            () if nearest.whole else ("vectors",),
            embed=embedded,
            vector=milliseconds_since(started),
        )


async def by_words(
    asking: Asking, wanted: Wanted, size: int | None = None, *, regardless: bool = False
) -> Found:
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
    words: Words = await asking.path.guards.elasticsearch.call(
        lambda: catalogue.matching(body, wanted.understood.text, asking.until),
        judge_latency=False,
        regardless=regardless,
    )
    return Found(
        "keyword",
        tuple(Candidate(identifier, score, keyword=score) for identifier, score in words.matching),
        () if words.whole else ("keyword",),
        semantic_asked=False,
        total_words=words.total,
        facets=told_facets(words.facets) if words.facets is not None else None,
        keyword=milliseconds_since(started),
    )


def milliseconds_since(start: float) -> float:
    """Since a reading of perf_counter."""
    return round((perf_counter() - start) * 1000, 3)
