"""Random documents of the catalogue, and the queries that are made of them."""

from collections.abc import Iterable
from typing import Any

from elasticsearch import NotFoundError

from search_plane.jobs.rendering import clean
from search_plane.jobs.scan import Catalogue, Document, PointInTimeExpired
from search_plane.release.stored import lookup
from search_plane.stores.catalogue import describe

QUERY_CHARACTERS = 12
# Elasticsearch answers at most 10,000 documents to one request (index.max_result_window).
_PAGE = 5000


class SampledCatalogue(Catalogue):
    """A catalogue that can be asked for documents at random."""

    async def random(self, most: int, seed: int, *, sources: bool = True) -> list[Document]:
        """Up to `most` different documents in random order, the same for one seed while nothing is written.

        Raises JobFailed when the catalogue can't be read, PointInTimeExpired when it is lost half way.
        """
        opened = await self._ask(
            lambda client: client.open_point_in_time(
                index=self._target.index, keep_alive=f"{self.keep_alive:.0f}s"
            )
        )
        pit = opened["id"]
        found: list[Document] = []
        after: list[Any] | None = None
        try:
            while len(found) < most:
                answer = await self._random_page(pit, after, min(_PAGE, most - len(found)), seed, sources)
                pit = answer["pit_id"]
                hits = answer["hits"]["hits"]
                if not hits:
                    break
                found += [Document(hit["_id"], hit.get("_source") or {}) for hit in hits]
                after = hits[-1]["sort"]
        finally:
            await self.close(pit)
        return found

    async def _random_page(
        self, pit: str, after: list[Any] | None, rows: int, seed: int, sources: bool
    ) -> Any:
        query = {
            "function_score": {
                "query": {"bool": {"filter": [self._query()]}},
                "random_score": {"seed": seed, "field": "_seq_no"},
                "boost_mode": "replace",
            }
        }
        try:
            answer = await self._ask(
                lambda client: client.search(
                    pit={"id": pit, "keep_alive": f"{self.keep_alive:.0f}s"},
                    query=query,
                    size=rows,
                    sort=[{"_score": "desc"}, {"_shard_doc": "asc"}],
                    search_after=after,
                    source=self._source() if sources else False,
                    track_total_hits=False,
                )
            )
        except NotFoundError as error:
            raise PointInTimeExpired(describe(error)) from error
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise PointInTimeExpired("a shard did not answer")
        return answer


def sample_queries(documents: Iterable[Document], title: str, also: Iterable[str] = ()) -> list[str]:
    """The beginnings of the documents' titles, as somebody types them, and then `also`; no query twice."""
    titles = (lookup(document.source, title) for document in documents)
    beginnings = (clean(text)[:QUERY_CHARACTERS].strip() for text in titles if isinstance(text, str))
    return [query for query in dict.fromkeys([*beginnings, *also]) if query]
