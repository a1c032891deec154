"""A collection under examination: searches as a gateway makes them, and rows to compare them with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search_plane.jobs.collection import ReleaseCollection, Row
from search_plane.jobs.idset import bucket_of
from search_plane.jobs.rendering import content_part
from search_plane.release.record import HASH_FIELD, ID_FIELD, VECTOR_FIELD
from search_plane.stores.milvus import MilvusConnection

_ROWS_AT_ONCE = 500
# Searches in one request, each of which may bring 100 hits: 0.5 MB. A strong one waits 0.2 s for Milvus' clock.
_SEARCHES_AT_ONCE = 50
# Milvus builds no graph for fewer rows (indexCoord.segment.minSegmentNumRowsToEnableIndex).
_SMALLEST_GRAPH = 1024


@dataclass(frozen=True, slots=True)
class Hits:
    """The hits of one search, nearest first. `scores` is float64 [len(ids)]; more is nearer, whatever the metric."""

    ids: tuple[str, ...]
    scores: npt.NDArray[np.float64]


class ExaminedCollection(ReleaseCollection):
    """A release's collection that is searched."""

    def __init__(self, connection: MilvusConnection, patience: float = 300.0, deadline: float = 30.0) -> None:
        """`patience`: seconds for which a call is tried again; `deadline`: seconds for one request."""
        super().__init__(connection, patience, deadline)
        self._target = connection.target

    async def nearest(
        self, vectors: Sequence[npt.NDArray[np.float32]], limit: int, *, strong: bool = False
    ) -> list[Hits]:
        """The `limit` nearest rows to each vector, with the release's ef (at least `limit`, as Milvus demands).

        Consistency is the gateway's (Bounded) unless `strong`.
        """
        found: list[Hits] = []
        for start in range(0, len(vectors), _SEARCHES_AT_ONCE):
            found += await self._nearest(list(vectors[start : start + _SEARCHES_AT_ONCE]), limit, strong)
        return found

    async def _nearest(self, vectors: list[npt.NDArray[np.float32]], limit: int, strong: bool) -> list[Hits]:
        target = self._target
        sign = -1.0 if target.metric == "L2" else 1.0

        def work(client: Any, timeout: float) -> list[Hits]:
            answer = client.search(
                target.collection,
                data=vectors,
                anns_field=VECTOR_FIELD,
                search_params={"metric_type": target.metric, "params": {"ef": max(target.ef, limit)}},
                limit=limit,
                consistency_level="Strong" if strong else "Bounded",
                timeout=timeout,
            )
            return [
                Hits(tuple(map(str, hits.ids)), sign * np.asarray(hits.distances, dtype=np.float64))
                for hits in answer
            ]

        return await self._call(work)

    async def rows_without_index(self) -> int:
        """How many rows are searched by brute force that the graph should serve, as far as the query nodes say.

        That the index is built says nothing of its use: for seconds after, query nodes still search the rows as they
        were inserted (seen: recall 1.0 of a graph with M=2, and 0.36 three seconds later).
        """

        def work(client: Any, timeout: float) -> dict[int, tuple[int, bool]]:
            return {
                segment.segment_id: (segment.num_rows, bool(segment.index_name))
                for segment in client.list_loaded_segments(self._target.collection, timeout=timeout)
            }

        segments = await self._call(work)
        count = await self.count()
        served = sum(rows for rows, indexed in segments.values() if indexed or rows < _SMALLEST_GRAPH)
        return max(0, count - served)

    async def rows_of(self, ids: Sequence[str]) -> list[Row]:
        """Those of any number of rows that the collection holds."""
        found: list[Row] = []
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            found += await self.rows(ids[start : start + _ROWS_AT_ONCE])
        return found

    async def hashes_in(self, buckets: Collection[int], number_of_buckets: int) -> dict[str, str]:
        """Content hash by id of the rows in some buckets of a digest."""

        def work(client: Any, timeout: float) -> dict[str, str]:
            return {
                row[ID_FIELD]: content_part(row[HASH_FIELD])
                for page in self._pages(client, timeout, [ID_FIELD, HASH_FIELD])
                for row in page
                if bucket_of(row[ID_FIELD], number_of_buckets) in buckets
            }

        return await self._call(work)
