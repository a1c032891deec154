"""A consistent scan of the catalogue: one point in time, pages by `search_after`, no document twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch, NotFoundError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from search_plane.jobs.failure import JobFailed
from search_plane.release.record import CatalogueFields
from search_plane.release.report import Reason
from search_plane.stores.catalogue import CATALOGUE_ERRORS, CatalogueConnection, describe

KEEP_ALIVE_SECONDS = 120
REQUEST_SECONDS = 60.0

_RETRYABLE_STATUS = (429, 502, 503, 504)

# Elasticsearch refuses `_id` within a point in time, and Lucene's own numbers differ between two of them.
_SLICE_FIELD = "_seq_no"


@dataclass(frozen=True, slots=True)
class Slice:
    """Part `number` (from 0) of a catalogue that is divided into `of` parts.

    A document that is not written between the scans of the parts lies in exactly one of them, whatever else changes;
    one that is may lie in none or in several.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.of:
            raise ValueError(f"there is no slice {self.number} of {self.of}")


@dataclass(frozen=True, slots=True)
class Document:
    """A hit: Elasticsearch's `_id` and the fields that were asked for."""

    id: str
    source: dict[str, Any]


class PointInTimeExpired(Exception):
    """Elasticsearch no longer knows the point in time (a node left, or it was idle too long): scan again."""


class Catalogue:
    """Reads the documents that exist for search: those of the index that the target's filter lets through."""

    def __init__(
        self,
        connection: CatalogueConnection,
        source_fields: list[str],
        page_rows: int = 1000,
        patience: float = 300.0,
        keep_alive: float = KEEP_ALIVE_SECONDS,
        part: Slice | None = None,
    ) -> None:
        """`patience`: seconds for which one request is tried again while Elasticsearch is away.

        `part`: what scans are confined to, None for the whole; `fetch` knows no parts.
        """
        self._connection = connection
        self._target = connection.target
        self._source_fields = source_fields
        self._page_rows = page_rows
        self._patience = patience
        self._keep_alive = keep_alive
        self.part = part if part and part.of > 1 else None

    @property
    def fields(self) -> CatalogueFields:
        """Names of its documents' fields."""
        return self._target.fields

    def ask_for(self, source_fields: list[str]) -> None:
        """From now on documents come with these fields."""
        self._source_fields = source_fields

    async def scan(self) -> "Scan":
        """Opens a point in time. Raises JobFailed when the catalogue can't be read."""
        opened = await self._ask(
            lambda client: client.open_point_in_time(
                index=self._target.index, keep_alive=f"{self._keep_alive:.0f}s"
            )
        )
        return Scan(self, opened["id"])

    async def fetch(self, ids: list[str]) -> dict[str, Document]:
        """Those of the given documents that exist for search now (not in a point in time)."""
        query = {"bool": {"filter": [self._query(), {"ids": {"values": ids}}]}}
        answer = await self._ask(
            lambda client: client.search(
                index=self._target.index,
                query=query,
                size=len(ids),
                source=self._source(),
                allow_partial_search_results=False,
            )
        )
        return {hit["_id"]: Document(hit["_id"], hit.get("_source") or {}) for hit in answer["hits"]["hits"]}

    async def page(self, pit: str, after: list[Any] | None, rows: int) -> Any:
        """One page of a point in time. Raises PointInTimeExpired or JobFailed."""
        try:
            answer = await self._ask(
                lambda client: client.search(
                    pit={"id": pit, "keep_alive": f"{self._keep_alive:.0f}s"},
                    query=self._query(),
                    slice=self._slice(),
                    size=rows,
                    sort=[{"_shard_doc": "asc"}],
                    search_after=after,
                    source=self._source(),
                    track_total_hits=after is None and rows > 0,
                )
            )
        except NotFoundError as error:
            raise PointInTimeExpired(describe(error)) from error
        # A page with a failed shard would look like a catalogue with fewer documents.
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise PointInTimeExpired("a shard did not answer")
        return answer

    async def close(self, pit: str) -> None:
        """Gives the point in time back; that it is gone already is no harm, nor that nobody answers."""
        try:
            await self._connection.call(lambda client: client.close_point_in_time(id=pit))
        except CATALOGUE_ERRORS:
            return

    @property
    def page_rows(self) -> int:
        """How many documents a page holds at most."""
        return self._page_rows

    @property
    def keep_alive(self) -> float:
        """For how many seconds Elasticsearch keeps an unused point in time."""
        return self._keep_alive

    def _query(self) -> dict[str, Any]:
        return {"query_string": {"query": self._target.filter}} if self._target.filter else {"match_all": {}}

    def _slice(self) -> dict[str, Any] | None:
        return {"field": _SLICE_FIELD, "id": self.part.number, "max": self.part.of} if self.part else None

    def _source(self) -> list[str] | bool:
        return self._source_fields or False

    async def _ask(self, request: Any) -> Any:
        def once(client: AsyncElasticsearch) -> Any:
            return request(client.options(request_timeout=REQUEST_SECONDS))

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(_is_passing),
                stop=stop_after_delay(self._patience),
                wait=wait_random_exponential(multiplier=0.2, max=5),
                reraise=True,
            ):
                with attempt:
                    return await self._connection.call(once)
        except NotFoundError as error:
            if error.error == "index_not_found_exception":
                raise JobFailed("CatalogueRefused", f"index {self._target.index} does not exist") from error
            raise
        except ApiError as error:
            reason: Reason = "CatalogueUnavailable" if _is_passing(error) else "CatalogueRefused"
            raise JobFailed(reason, f"Elasticsearch: {describe(error)}") from error
        except TransportError as error:
            raise JobFailed("CatalogueUnavailable", f"Elasticsearch: {describe(error)}") from error
        raise AssertionError("unreachable: the last attempt returns or raises")


class Scan:
    """One pass over a point in time. Use as `async with`; while it is open, it is kept alive."""

    def __init__(self, catalogue: Catalogue, pit: str) -> None:
        self._catalogue = catalogue
        self._pit = pit
        self._keeper: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._first: Any = None

    async def __aenter__(self) -> "Scan":
        self._first = await self._catalogue.page(self._pit, None, self._catalogue.page_rows)
        self._pit = self._first["pit_id"]
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._catalogue.close(self._pit)

    @property
    def total(self) -> int:
        """How many documents the point in time holds (of the slice, where there is one)."""
        return int(self._first["hits"]["total"]["value"])

    @property
    def point_in_time(self) -> str:
        """Its id at Elasticsearch, as of the last answer."""
        return self._pit

    async def pages(self) -> AsyncIterator[list[Document]]:
        """All documents, a page at a time. Raises PointInTimeExpired or JobFailed."""
        answer = self._first
        while hits := answer["hits"]["hits"]:
            yield [Document(hit["_id"], hit.get("_source") or {}) for hit in hits]
            async with self._reading:
                answer = await self._catalogue.page(self._pit, hits[-1]["sort"], self._catalogue.page_rows)
                self._pit = answer["pit_id"]

    async def _keep(self) -> None:
        # While the encoder holds the scan back no page is read, and only a search renews a point in time.
        while True:
            await asyncio.sleep(self._catalogue.keep_alive / 3)
            async with self._reading:
                try:
                    answer = await self._catalogue.page(self._pit, None, 0)
                except (PointInTimeExpired, JobFailed):
                    # The next page meets the same error, where it can be dealt with.
                    return
                self._pit = answer["pit_id"]


def _is_passing(error: BaseException) -> bool:
    """Whether trying again may help: no answer, too busy, or a shard that is still recovering."""
    if isinstance(error, ApiError):
        return error.status_code in _RETRYABLE_STATUS
    return isinstance(error, TransportError)
