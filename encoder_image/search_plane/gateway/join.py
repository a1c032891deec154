"""Joining what is near with what exists: price and stock are the catalogue's at the moment of the query."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from elastic_transport import ConnectionError as ElasticConnectionError
from elastic_transport import ConnectionTimeout, TransportError
from elasticsearch import ApiError
from pydantic import JsonValue
from tenacity import retry, retry_if_exception, stop_after_attempt

from search_plane.gateway.answer import Hit
from search_plane.gateway.collection import Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.release.record import CatalogueFields, CatalogueTarget
from search_plane.stores.catalogue import CatalogueConnection

T = TypeVar("T")
Document = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Joined:
    """Hits, nearest first; `dropped` are gone from the catalogue, `unknown` are hits it could not judge."""

    hits: list[Hit]
    dropped: int
    unknown: int


def merge(
    neighbours: Sequence[Neighbour], answers: Mapping[str, Document | None], fields: CatalogueFields, k: int
) -> Joined:
    """Joins neighbours with the catalogue's answers by id, up to `k` hits. Pure.

    `answers[id]` is the document's source, or None when the catalogue has no such document: that neighbour is
    dropped. An id missing in `answers` was not judged (a shard failed): the hit stays, without fields. Neighbours
    after the k-th hit are not counted.
    """
    hits: list[Hit] = []
    dropped = unknown = 0
    for neighbour in neighbours:
        if len(hits) == k:
            break
        if neighbour.id not in answers:
            unknown += 1
            source: Document = {}
        else:
            answer = answers[neighbour.id]
            if answer is None:
                dropped += 1
                continue
            source = answer
        hits.append(
            Hit.model_construct(
                id=neighbour.id,
                score=neighbour.score,
                rank=len(hits) + 1,
                title=field_value(source, fields.title),
                brand=field_value(source, fields.brand),
                category=field_value(source, fields.category),
                price=field_value(source, fields.price),
                stock=field_value(source, fields.stock),
            )
        )
    return Joined(hits, dropped, unknown)


def field_value(source: Document, path: str) -> JsonValue:
    """The value of a field in a source, None when absent; `a.b` also finds b within the object a."""
    if path in source:
        return source[path]
    head, dot, rest = path.partition(".")
    inner = source.get(head)
    return field_value(inner, rest) if dot and isinstance(inner, dict) else None


def judged(docs: Sequence[Mapping[str, JsonValue]]) -> dict[str, Document | None]:
    """The part of an mget answer that is a judgement: found documents, and those known to be gone. Pure."""
    answers: dict[str, Document | None] = {}
    for doc in docs:
        if "error" in doc:
            continue
        source = doc.get("_source")
        answers[str(doc["_id"])] = (source if isinstance(source, dict) else {}) if doc.get("found") else None
    return answers


def keyword_query(text: str, fields: CatalogueFields, catalogue_filter: str) -> dict[str, JsonValue]:
    """Elasticsearch's query for a text's words, any of which may match. Pure."""
    words: dict[str, JsonValue] = {
        "multi_match": {
            "query": text,
            "fields": [f"{fields.title}^3", f"{fields.brand}^2", fields.category],
            "lenient": True,
        }
    }
    filters: list[JsonValue] = [{"query_string": {"query": catalogue_filter}}] if catalogue_filter else []
    return {"bool": {"must": [words], "filter": filters}}


def _connection_failed(error: BaseException) -> bool:
    return isinstance(error, ElasticConnectionError) and not isinstance(error, ConnectionTimeout)


class Catalogue:
    """The catalogue's documents by id, over a pool of kept connections."""

    def __init__(self, target: CatalogueTarget, timeout_seconds: float, connections: int) -> None:
        """Opens nothing yet. Raises ValueError for a URL that is none."""
        # The deadline is ours, it counts the retry too; the client's own is only a net below it.
        self._connection = CatalogueConnection(target, timeout=timeout_seconds + 1.0, connections=connections)
        self._timeout = timeout_seconds
        fields = target.fields
        self._includes = [fields.title, fields.brand, fields.category, fields.price, fields.stock]
        self._filter = target.filter

    async def documents(self, ids: Sequence[str], until: float) -> dict[str, Document | None]:
        """What the catalogue says of each id (see `judged`) by the loop's time `until`; else Unavailable.

        A document that the catalogue's filter does not let through is one that does not exist. The filter is a
        search: it sees a change after Elasticsearch's refresh, the fields are those of this moment.
        """
        if not ids:
            return {}
        if not self._filter:
            return judged(await self._within(self._mget(ids), until))
        docs, passing = await self._within(asyncio.gather(self._mget(ids), self._passing(ids)), until)
        return {
            identifier: document if identifier in passing else None
            for identifier, document in judged(docs).items()
        }

    async def matching(self, text: str, limit: int, until: float) -> list[Neighbour]:
        """The `limit` products whose title, brand or category match the text's words best, by Elasticsearch's score.

        Finds what Elasticsearch's last refresh has seen. Raises Unavailable as `documents` does.
        """
        return await self._within(self._match(text, limit), until)

    async def probe(self, until: float) -> None:
        """Asks for a document that need not exist; Unavailable when that can't be judged (no such index)."""
        if not judged(await self._within(self._mget(["-"]), until)):
            raise Unavailable("elasticsearch", "index", "the catalogue's index can't be read")

    async def _within(self, call: Awaitable[T], until: float) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(until, loop.time() + self._timeout)):
                return await call
        except (TimeoutError, ConnectionTimeout):
            raise Unavailable("elasticsearch", "timeout", "the catalogue did not answer in time") from None
        except ApiError as error:
            reason = f"http_{error.status_code}"
            raise Unavailable(
                "elasticsearch", reason, f"the catalogue answered {error.status_code}"
            ) from None
        except TransportError:
            raise Unavailable("elasticsearch", "connection", "the catalogue can't be reached") from None

    @retry(retry=retry_if_exception(_connection_failed), stop=stop_after_attempt(2), reraise=True)
    async def _mget(self, ids: Sequence[str]) -> list[dict[str, JsonValue]]:
        index = self._connection.target.index
        response = await self._connection.call(
            lambda client: client.mget(index=index, ids=list(ids), source_includes=self._includes)
        )
        docs: list[dict[str, JsonValue]] = response.body["docs"]
        return docs

    @retry(retry=retry_if_exception(_connection_failed), stop=stop_after_attempt(2), reraise=True)
    async def _passing(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that the filter lets through."""
        index = self._connection.target.index
        query = {
            "bool": {
                "filter": [{"query_string": {"query": self._filter}}, {"ids": {"values": list(ids)}}],
            }
        }
        response = await self._connection.call(
            lambda client: client.search(
                index=index, query=query, size=len(ids), source=False, allow_partial_search_results=False
            )
        )
        return frozenset(str(hit["_id"]) for hit in response.body["hits"]["hits"])

    @retry(retry=retry_if_exception(_connection_failed), stop=stop_after_attempt(2), reraise=True)
    async def _match(self, text: str, limit: int) -> list[Neighbour]:
        target = self._connection.target
        query = keyword_query(text, target.fields, target.filter)
        response = await self._connection.call(
            lambda client: client.search(index=target.index, query=query, size=limit, source=False)
        )
        return [Neighbour(str(hit["_id"]), float(hit["_score"])) for hit in response.body["hits"]["hits"]]

    async def close(self) -> None:
        """Closes the pool."""
        await self._connection.close()
