"""Joining what is near with what exists: price and stock are the catalogue's at the moment of the query."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import orjson
from elastic_transport import ApiResponse, ConnectionTimeout, TransportError
from elastic_transport import ConnectionError as ElasticConnectionError
from elasticsearch import ApiError, AsyncElasticsearch
from pydantic import JsonValue

from search_plane.gateway.answer import Hit, Scores
from search_plane.gateway.catalogue_answers import Document, Words, found_marks, found_words, judged
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.filters import STORED_FIELDS
from search_plane.gateway.filters import field_value as field_value
from search_plane.gateway.hedging import ExtraBudget, once_more
from search_plane.gateway.index_fields import IndexFields, index_fields, patterns, unread
from search_plane.gateway.within import EVERYTHING, Within
from search_plane.release.record import CatalogueFields, CatalogueTarget
from search_plane.stores.catalogue import CatalogueConnection

T = TypeVar("T")
# All that is read of an answer: the rest is as long again.
_WORDS_PATHS = "timed_out,_shards.failed,hits.total,hits.hits._id,hits.hits._score,aggregations"
_MARKS_PATHS = "hits.hits._id,hits.hits.highlight"
_PASSING_PATHS = "hits.hits._id"
_DOCS_PATHS = "docs._id,docs.found,docs.error,docs._source"
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


class Candidate(NamedTuple):
    """A product that a search found, and what each made of it. `score` is what the path orders by.

    `stored` is what the release's collection holds of it. By words it was found within the filters; what is found by
    meaning alone may yet have to be held against them.
    """

    id: str
    score: float
    semantic: float | None = None
    keyword: float | None = None
    fused: float | None = None
    stored: Document | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """Hits, best first; `dropped` are gone from the catalogue, `unknown` are hits it could not judge.

    `filtered` were found and are not within the caller's filters, or could not be held against them.
    """

    hits: list[Hit]
    dropped: int
    unknown: int
    filtered: int = 0


def merge(
    candidates: Sequence[Candidate],
    answers: Mapping[str, Document | None],
    fields: CatalogueFields,
    k: int,
    within: Within = EVERYTHING,
) -> Joined:
    """Joins candidates with the catalogue's answers by id, up to `k` hits. Pure.

    `answers[id]` is the document's source, or None when the catalogue has no such document: that candidate is
    dropped. An id missing in `answers` was not judged (a shard failed): the hit stays, with what is stored of it, if
    that or the search by words says that it is within the restrictions. Candidates after the k-th hit are not counted.
    """
    hits: list[Hit] = []
    dropped = unknown = filtered = 0
    for candidate in candidates:
        if len(hits) == k:
            break
        names, stored = fields, False
        if candidate.id not in answers:
            source: Document = candidate.stored or {}
            names, stored = STORED_FIELDS, candidate.stored is not None
            if within and not (
                within.lets_through(source, names, stock_known=False)
                if stored
                else candidate.keyword is not None
            ):
                filtered += 1
                continue
            unknown += 1
        else:
            answer = answers[candidate.id]
            if answer is None:
                dropped += 1
                continue
            source = answer
            if within and not within.lets_through(source, names):
                filtered += 1
                continue
        hits.append(
            Hit.model_construct(
                id=candidate.id,
                score=candidate.score,
                rank=len(hits) + 1,
                scores=Scores.model_construct(
                    semantic=candidate.semantic, keyword=candidate.keyword, fused=candidate.fused, rerank=None
                ),
                title=field_value(source, names.title),
                brand=field_value(source, names.brand),
                category=field_value(source, names.category),
                price=field_value(source, names.price),
                stock=field_value(source, names.stock),
                stored=stored,
                highlight=None,
            )
        )
    return Joined(hits, dropped, unknown, filtered)


class Catalogue:
    """The catalogue's documents, by id and by words, over a pool of kept connections.

    `fields`: what its index can be asked, once `learn_fields` has read it.
    """

    def __init__(
        self,
        target: CatalogueTarget,
        timeout_seconds: float,
        connections: int,
        on_extra: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens nothing yet. `on_extra` is told of each request sent once more. Raises ValueError for a bad URL."""
        # The deadline is ours, it counts the retry too; the client's own is only a net below it.
        self._connection = CatalogueConnection(target, timeout=timeout_seconds + 1.0, connections=connections)
        self._timeout = timeout_seconds
        self._budget = ExtraBudget()
        self._on_extra = on_extra
        fields = target.fields
        index = quote(target.index, safe=",*")
        shown = ",".join((fields.title, fields.brand, fields.category, fields.price, fields.stock))
        told = {"_source_includes": shown, "filter_path": _DOCS_PATHS}
        self._mget_path = f"/{index}/_mget?{urlencode(told, safe=',')}"
        self._words_path = f"/{index}/_search?filter_path={_WORDS_PATHS}&preference="
        self._marks_path = f"/{index}/_search?filter_path={_MARKS_PATHS}"
        self._passing_path = (
            f"/{index}/_search?filter_path={_PASSING_PATHS}&allow_partial_search_results=false"
        )
        self._filter = target.filter
        self.fields: IndexFields = unread(fields)

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

    async def matching(self, body: Mapping[str, Any], text: str, until: float) -> Words:
        """What a search's `body` (see `words_search`) finds, as Elasticsearch's last refresh has seen it.

        The same `text` goes to the same copies of the shards: equal scores are in one order from page to page.
        Raises Unavailable as `documents` does.
        """
        loop = asyncio.get_running_loop()
        ends = min(until, loop.time() + self._timeout)
        left = max(1, round((ends - loop.time()) * 1000))
        asked = {**body, "timeout": f"{left}ms"}
        path = f"{self._words_path}q{zlib.crc32(text.encode()):08x}"
        return found_words(await self._within(self._post("search", path, asked), ends))

    async def marks(self, body: dict[str, Any], until: float) -> dict[str, str]:
        """Marked titles by id, see `marks_search`. Raises Unavailable as `documents` does."""
        return found_marks(await self._within(self._post("search", self._marks_path, body), until))

    async def learn_fields(self, until: float) -> None:
        """Reads what the index's fields can be searched for. Raises Unavailable as `documents` does."""
        target = self._connection.target
        response = await self._within(
            self._connection.call(
                lambda client: client.field_caps(
                    index=target.index, fields=patterns(target.fields), ignore_unavailable=True
                )
            ),
            until,
        )
        self.fields = index_fields(response.body.get("fields", {}), target.fields)

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

    async def _mget(self, ids: Sequence[str]) -> list[dict[str, JsonValue]]:
        answer = await self._post("mget", self._mget_path, {"ids": list(ids)})
        docs: list[dict[str, JsonValue]] = answer.get("docs", [])
        return docs

    async def _passing(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that the filter lets through."""
        query = {
            "bool": {
                "filter": [{"query_string": {"query": self._filter}}, {"ids": {"values": list(ids)}}],
            }
        }
        body = {"query": query, "size": len(ids), "_source": False}
        answer = await self._post("search", self._passing_path, body)
        return frozenset(str(hit["_id"]) for hit in answer.get("hits", {}).get("hits", ()))

    async def _post(self, endpoint: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer's body; asked once more, within a budget, when a kept connection turns out to be closed.

        Below the client's own methods, which spend longer on a request than all that it needs.
        """
        encoded = orjson.dumps(body)

        def work(client: AsyncElasticsearch) -> Awaitable[ApiResponse[Any]]:
            return client.perform_request(
                "POST",
                path,
                headers=_JSON,
                body=encoded,
                endpoint_id=endpoint,
                path_parts={"index": self._connection.target.index},
            )

        self._budget.earn()
        response = await once_more(
            lambda: self._connection.call(work), _connection_broke, self._may_ask_again
        )
        answer: Mapping[str, Any] = response.body
        return answer

    def _may_ask_again(self) -> bool:
        allowed = self._budget.spend()
        if allowed:
            self._on_extra()
        return allowed

    async def close(self) -> None:
        """Closes the pool."""
        await self._connection.close()


def _connection_broke(error: Exception) -> bool:
    return isinstance(error, ElasticConnectionError) and not isinstance(error, ConnectionTimeout)
