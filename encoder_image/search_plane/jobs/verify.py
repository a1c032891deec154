"""Measures a candidate release: everything that the operator's gates want to know, and nothing judged.

What can't be measured stays None, with the reason beside it. That the candidate's own encoder or stores are away ends
the job; that the active release's are leaves only the comparisons out.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from search_plane.jobs.failure import JobFailed
from search_plane.jobs.progress import ProgressBoard
from search_plane.jobs.rendering import Rendered, Renderer
from search_plane.jobs.scan import Document, PointInTimeExpired
from search_plane.jobs.verify_collection import ExaminedCollection
from search_plane.jobs.verify_encoder import ExaminedEncoder
from search_plane.jobs.verify_judged import (
    DEPTH,
    JudgedQuery,
    JudgementsUnusable,
    ndcg,
    read_judged,
)
from search_plane.jobs.verify_queries import (
    Answer,
    ask,
    ask_one_at_a_time,
    mean_overlap,
    p95_ms,
    search,
    share_without_hits,
)
from search_plane.jobs.verify_recall import near, recall_of_all, recall_of_sample, scores
from search_plane.jobs.verify_rows import Comparison, least_count
from search_plane.jobs.verify_sample import SampledCatalogue, sample_queries
from search_plane.release.record import ReleaseSnapshot
from search_plane.release.report import Verification

T = TypeVar("T")

_MAX_RECALL_K = 100
_SCAN_RESTARTS = 3
_FRESH_SHARE = 0.1
_INDEX_POLL_SECONDS = 1.0

# Fewer give no percentile.
_FEWEST_QUERIES = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SampleSizes:
    """How much is looked at: rows, queries. Up to `recall_rows` rows, recall is exact; above, it is estimated.

    `index_wait`: seconds for which the query nodes may take to load the index that was built.
    """

    vectors: int = 64
    queries: int = 200
    timed_queries: int = 200
    recall_queries: int = 100
    recall_rows: int = 20_000
    index_wait: float = 120.0

    def for_rows(self, rows: int) -> "SampleSizes":
        """Fewer queries for a small collection, whose rows they would ask for again and again."""
        enough = max(_FEWEST_QUERIES, rows // 10)
        return replace(
            self,
            queries=min(self.queries, enough),
            timed_queries=min(self.timed_queries, enough),
            recall_queries=min(self.recall_queries, enough),
        )


@dataclass(frozen=True, slots=True)
class Side:
    """A release with what answers for it."""

    release: ReleaseSnapshot
    encoder: ExaminedEncoder
    collection: ExaminedCollection

    async def check(self) -> None:
        """Raises JobFailed unless the collection is of this release's encoder."""
        await self.collection.check(self.release.fingerprint, self.release.encoder.dimension)


class NotMeasurable(Exception):
    """Why something can't be measured, in one sentence."""


class Verifier:
    """One verification."""

    def __init__(
        self,
        candidate: Side,
        active: Side | str,
        catalogue: SampledCatalogue,
        renderer: Renderer,
        judged: Path,
        board: ProgressBoard,
        sizes: SampleSizes | None = None,
        seed: int = 0,
    ) -> None:
        """`active`: the release to compare with, or why there is none. `seed` chooses the samples."""
        self._here = candidate
        self._active = active
        self._catalogue = catalogue
        self._renderer = renderer
        self._judged_file = judged
        self._board = board
        self._sizes = sizes or SampleSizes()
        self._seed = seed
        self._found: dict[str, Any] = {}
        self._why: dict[str, str] = {}
        self._documents: list[Document] = []
        self._judged: tuple[JudgedQuery, ...] = ()
        self._answers: dict[str, Answer] = {}

    async def run(self) -> Verification:
        """Measures. Raises JobFailed when the candidate's encoder, Milvus or the catalogue is away."""
        measures: list[tuple[Callable[[], Awaitable[None]], tuple[str, ...]]] = [
            (self._compare_rows, ("missing", "extra", "stale")),
            (self._read_judged, ()),
            (self._compare_vectors, ("vectors_match",)),
            (self._await_index, ("recall",)),
            (self._ask_sample_queries, ("zero_results", "p95_ms")),
            (self._measure_recall, ("recall",)),
            (self._judge, ("ndcg",)),
        ]
        compared: list[tuple[Callable[[Side], Awaitable[None]], tuple[str, ...]]] = [
            (self._ask_active, ("overlap", "active_zero_results")),
            (self._judge_active, ("active_ndcg",)),
        ]
        self._board.begin_pass("Measuring", len(measures) + len(compared))
        await self._here.check()
        self._found["rows"] = rows = await least_count(self._here.collection)
        self._sizes = self._sizes.for_rows(rows)
        self._documents = await self._random(max(self._sizes.queries, self._sizes.vectors))
        for measure, fields in measures:
            began = time.monotonic()
            try:
                await measure()
            except NotMeasurable as reason:
                self._lacks(fields, str(reason))
            self._settle(fields)
            took = round(time.monotonic() - began, 2)
            log.info("measured", extra={"measure": measure.__name__.strip("_"), "seconds": took})
        for compare, fields in compared:
            try:
                if isinstance(self._active, str):
                    raise NotMeasurable(self._active)
                await compare(self._active)
            except (NotMeasurable, JobFailed) as reason:
                self._lacks(fields, str(reason))
            self._settle(fields)
        self._note_encoder()
        return Verification(**self._found, why=self._why)

    async def _compare_rows(self) -> None:
        async def is_refused(text: Rendered) -> bool:
            encoder = self._here.encoder
            vector = (await encoder.embed([text.text], "document"))[0]
            # A text that the encoder answers with nonsense is not refused: its row is really missing.
            return vector is None and not encoder.fault

        comparison = Comparison(self._catalogue, self._renderer, self._here.collection, is_refused)
        found = await comparison.run()
        self._found |= {
            "missing": len(found.missing),
            "extra": len(found.extra),
            "stale": len(found.stale),
        }

    async def _compare_vectors(self) -> None:
        texts = [
            text
            for document in self._documents[: self._sizes.vectors]
            if isinstance(text := self._renderer.render(document.id, document.source), Rendered)
        ]
        held = {row.id: row for row in await self._here.collection.rows_of([text.id for text in texts])}
        # Rows of another text are stale, which is counted elsewhere.
        same = [text for text in texts if text.id in held and held[text.id].content_hash == text.content_hash]
        if not same:
            raise NotMeasurable(f"none of {len(texts)} random documents has a row with its text")
        made = await self._here.encoder.embed([text.text for text in same], "document")
        cosines = [
            _cosine(vector, held[text.id].vector)
            for text, vector in zip(same, made, strict=True)
            if vector is not None
        ]
        if not cosines:
            raise NotMeasurable(f"the encoder gave no vector for {len(same)} random documents")
        self._found |= {"vectors_match": round(min(cosines), 6), "vectors_checked": len(cosines)}

    async def _ask_sample_queries(self) -> None:
        title = self._here.release.catalogue.fields.title
        some = self._documents[: self._sizes.queries]
        queries = sample_queries(some, title, (judged.query for judged in self._judged))
        if not queries:
            raise NotMeasurable(f"no document has a text in {title} to make a query of")
        self._answers, seconds = await ask_one_at_a_time(
            self._here.encoder,
            self._here.collection,
            queries,
            self._here.release.top_k,
            self._sizes.timed_queries,
        )
        self._found["zero_results"] = share_without_hits(self._answers)
        if not seconds:
            self._lacks(("p95_ms",), f"the encoder gave no vector for {len(queries)} queries")
            return
        self._found |= {"p95_ms": round(p95_ms(seconds), 2), "timed_queries": len(seconds)}

    async def _await_index(self) -> None:
        """Waits until searches use the graph, but for the few rows that a refresh may just have written."""
        waited = 0.0
        while (left := await self._here.collection.rows_without_index()) > _FRESH_SHARE * self._found["rows"]:
            if waited >= self._sizes.index_wait:
                raise NotMeasurable(f"{left} rows are searched without the index after {waited:.0f} s")
            await asyncio.sleep(_INDEX_POLL_SECONDS)
            waited += _INDEX_POLL_SECONDS

    async def _measure_recall(self) -> None:
        if "recall" in self._why:
            return
        collection, sizes = self._here.collection, self._sizes
        count = await collection.count()
        if count <= sizes.recall_rows:
            ids = await collection.ids_in({0}, 1)
        else:
            chosen = await self._random(sizes.recall_rows, sources=False)
            ids = [document.id for document in chosen]
        rows = await collection.rows_of(ids)
        if not rows:
            raise NotMeasurable("the collection has no rows to find")
        ids, held = [row.id for row in rows], np.stack([row.vector for row in rows])
        random = np.random.default_rng(self._seed)
        some = random.choice(len(ids), min(sizes.recall_queries, len(ids)), replace=False)
        asked = [answer.vector for answer in self._answers.values() if answer.vector is not None]
        queries = np.vstack([near(held[some], random), *asked[: sizes.recall_queries]])
        k = min(self._here.release.top_k, _MAX_RECALL_K)
        hits = await collection.nearest(list(queries), k, strong=True)
        metric = self._here.release.milvus.metric
        exact = await asyncio.to_thread(scores, queries, held, metric)
        if count <= sizes.recall_rows:
            recall = await asyncio.to_thread(recall_of_all, hits, ids, exact, k)
        else:
            recall = await asyncio.to_thread(recall_of_sample, hits, ids, exact, k, count)
        self._found |= {"recall": round(recall, 6), "recall_k": k, "recall_queries": len(queries)}

    async def _read_judged(self) -> None:
        try:
            self._judged = read_judged(self._judged_file)
        except JudgementsUnusable as reason:
            self._lacks(("ndcg", "active_ndcg"), str(reason))

    async def _judge(self) -> None:
        if self._judged:
            self._found |= {"ndcg": await self._mean_ndcg(self._here), "judged": len(self._judged)}

    async def _judge_active(self, active: Side) -> None:
        if self._judged:
            await active.check()
            self._found["active_ndcg"] = await self._mean_ndcg(active)

    async def _mean_ndcg(self, side: Side) -> float:
        queries = list(dict.fromkeys(judged.query for judged in self._judged))
        answers = await ask(self._encoder_for(side), side.collection, queries, side.release.top_k)
        worth = [ndcg(answers[judged.query].hits.ids, judged.relevant, DEPTH) for judged in self._judged]
        return float(np.mean(worth))

    async def _ask_active(self, active: Side) -> None:
        await active.check()
        if not self._answers:
            raise NotMeasurable("there are no sample queries")
        queries, depth = list(self._answers), active.release.top_k
        if not self._same_encoder(active):
            answers = await ask(active.encoder, active.collection, queries, depth)
            self._lacks(("overlap",), "the active release has another encoder")
        else:
            vectors = {query: answer.vector for query, answer in self._answers.items()}
            answers = await search(active.collection, vectors, depth)
            overlap = mean_overlap(self._answers, answers)
            if overlap is None:
                self._lacks(("overlap",), "no sample query has a hit in either release")
            else:
                self._found["overlap"] = overlap
        self._found["active_zero_results"] = share_without_hits(answers)

    def _same_encoder(self, side: Side) -> bool:
        return side.release.fingerprint == self._here.release.fingerprint

    def _encoder_for(self, side: Side) -> ExaminedEncoder:
        """The same encoder may be asked at the candidate's address, which is known to answer."""
        return self._here.encoder if self._same_encoder(side) else side.encoder

    async def _random(self, most: int, *, sources: bool = True) -> list[Document]:
        for _ in range(_SCAN_RESTARTS):
            try:
                return await self._catalogue.random(most, self._seed, sources=sources)
            except PointInTimeExpired:
                continue
        raise JobFailed("CatalogueUnavailable", f"Elasticsearch lost {_SCAN_RESTARTS} points in time")

    def _note_encoder(self) -> None:
        encoder = self._here.encoder
        self._found["encoder_sound"] = encoder.sound
        if not encoder.sound:
            self._lacks(("encoder_sound",), encoder.fault or "the encoder was never asked")

    def _lacks(self, fields: tuple[str, ...], reason: str) -> None:
        for name in fields:
            self._why.setdefault(name, reason)

    def _settle(self, fields: tuple[str, ...]) -> None:
        self._board.settled(1)
        measured = {name: self._found[name] for name in fields if name in self._found}
        if measured:
            log.info("measured", extra=measured)


def _cosine(one: Any, other: Any) -> float:
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    # An all-zero row resembles nothing.
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30))
