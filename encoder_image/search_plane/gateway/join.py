"""Joining what is near with what exists: price and stock are the catalogue's at the moment of the query."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elastic_transport import ConnectionError as ElasticConnectionError
from elastic_transport import ConnectionTimeout, TransportError
from elasticsearch import ApiError
from pydantic import JsonValue
from tenacity import retry, retry_if_exception, stop_after_attempt

from search_plane.gateway.answer import Hit
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.vectors import Neighbour
from search_plane.release.record import CatalogueFields, CatalogueTarget
from search_plane.stores.catalogue import CatalogueConnection

Document = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Joined:
    """Hits, nearest first; `dropped` are gone from the catalogue, `unknown` are hits it could not judge."""

    hits: list[Hit]
    dropped: int
    unknown: int


def merge(
    neighbours: Sequence[Neighbour], answers: Mapping[str, Document | None], fields: CatalogueFields
) -> Joined:
    """Joins neighbours with the catalogue's answers by id. Pure.

    `answers[id]` is the document's source, or None when the catalogue has no such document: that neighbour is
    dropped. An id missing in `answers` was not judged (a shard failed): the hit stays, without fields.
    """
    hits: list[Hit] = []
    dropped = unknown = 0
    for neighbour in neighbours:
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

    async def documents(self, ids: Sequence[str], until: float) -> dict[str, Document | None]:
        """What the catalogue says of each id (see `judged`) by the loop's time `until`; else Unavailable."""
        return judged(await self._docs(ids, until)) if ids else {}

    async def probe(self, until: float) -> None:
        """Asks for a document that need not exist; Unavailable when that can't be judged (no such index)."""
        if not judged(await self._docs(["-"], until)):
            raise Unavailable("elasticsearch", "index", "the catalogue's index can't be read")

    async def _docs(self, ids: Sequence[str], until: float) -> list[dict[str, JsonValue]]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(until, loop.time() + self._timeout)):
                return await self._mget(ids)
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

    async def close(self) -> None:
        """Closes the pool."""
        await self._connection.close()
