"""The calls that the gateway makes to one release's collection, each with a deadline and a fault that can be told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from pymilvus import AsyncMilvusClient, MilvusException

from search_plane.gateway.faults import Unavailable
from search_plane.gateway.wholeness import Placement
from search_plane.release.record import ID_FIELD, VECTOR_FIELD, MilvusTarget, ReleaseRecord
from search_plane.release.stored import STORED_FIELDS, told
from search_plane.stores.credentials import read_credential
from search_plane.stores.expression import literal
from search_plane.stores.milvus import MILVUS_ERRORS, describe, is_auth_failure

T = TypeVar("T")

# gRPC waits up to two minutes between attempts to connect, and shares that wait between channels.
_GRPC_OPTIONS = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
}
# The collection's own state (merr codes of Milvus 2.3+), worth a sentence of its own.
_COLLECTION_STATES = {
    100: "does not exist",
    101: "is not loaded",
    102: "has no replica yet",
    103: "is loading",
}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A product near the query. `score` is Milvus' distance by the collection's metric (COSINE: -1..1).

    `stored`: the fields that lie beside its vector, as of the job that wrote them (see release/stored.py); None where
    there are none, or nobody asked.
    """

    id: str
    score: float
    stored: Mapping[str, JsonValue] | None = None


class Collection:
    """One collection over one gRPC channel, which multiplexes all calls. Every call ends by `deadline`.

    Deadlines are times of the running loop. Every call raises Unavailable when it has no answer. pymilvus itself
    tries a broken channel once more on a new one, within the deadline it is given.
    """

    def __init__(self, target: MilvusTarget, timeout_seconds: float) -> None:
        """Opens nothing yet. Raises MilvusException for an address that is none."""
        self.target = target
        # Known from the release's record on.
        self.stores_fields = False
        self._timeout = timeout_seconds
        self._client = self._connect()

    def _connect(self) -> Any:
        folder = self.target.credentials_dir
        return AsyncMilvusClient(
            uri=self.target.uri,
            user=read_credential(folder, "username"),
            password=read_credential(folder, "password"),
            token=read_credential(folder, "token"),
            db_name=self.target.database,
            timeout=self._timeout,
            # Shared channels are never closed; ours ends with its release.
            dedicated=True,
            grpc_options=_GRPC_OPTIONS,
        )

    async def search(
        self,
        vectors: Sequence[NDArray[np.float32]],
        limit: int,
        deadline: float,
        condition: str = "",
        least_ef: int = 0,
    ) -> list[list[Neighbour]]:
        """For each vector of shape (dimension,) its `limit` nearest rows, nearest first.

        `condition`: which rows may be found, in Milvus' expression language; "" for all. `least_ef`: how far the graph
        is searched where the release's own ef is less.
        """
        target = self.target

        async def work(client: Any, seconds: float) -> Any:
            return await client.search(
                target.collection,
                data=list(vectors),
                filter=condition,
                anns_field=VECTOR_FIELD,
                # Milvus refuses an ef below the limit.
                search_params={
                    "metric_type": target.metric,
                    "params": {"ef": max(target.ef, limit, least_ef)},
                },
                limit=limit,
                consistency_level="Bounded",
                timeout=seconds,
            )

        return [
            [Neighbour(str(id_), float(score)) for id_, score in zip(hits.ids, hits.distances, strict=True)]
            for hits in await self._call(work, deadline)
        ]

    async def stored(self, ids: Sequence[str], deadline: float) -> dict[str, dict[str, JsonValue]]:
        """The stored fields by id, of those rows that one replica has."""

        async def work(client: Any, seconds: float) -> Any:
            return await client.query(
                self.target.collection,
                filter=f"{ID_FIELD} in {literal(ids)}",
                output_fields=[ID_FIELD, *STORED_FIELDS],
                consistency_level="Bounded",
                timeout=seconds,
            )

        return {str(row[ID_FIELD]): told(row) for row in await self._call(work, deadline)}

    async def count(self, deadline: float) -> int:
        """Rows, as one replica sees them."""

        async def work(client: Any, seconds: float) -> Any:
            return await client.query(
                self.target.collection,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Bounded",
                timeout=seconds,
            )

        return int((await self._call(work, deadline))[0]["count(*)"])

    async def vectors(self, ids: Sequence[str], deadline: float) -> dict[str, NDArray[np.float32]]:
        """The vectors by id, float32 of shape (dimension,), of those rows that one replica has."""

        async def work(client: Any, seconds: float) -> Any:
            return await client.query(
                self.target.collection,
                filter=f"{ID_FIELD} in {literal(ids)}",
                output_fields=[ID_FIELD, VECTOR_FIELD],
                consistency_level="Bounded",
                timeout=seconds,
            )

        rows = await self._call(work, deadline)
        return {str(row[ID_FIELD]): np.asarray(row[VECTOR_FIELD], dtype=np.float32) for row in rows}

    async def placement(self, deadline: float) -> Placement:
        """Where the collection is read now, as Milvus' coordinator has it.

        Raises Unavailable also while a replica has no node, as after a query node's death.
        """

        async def work(client: Any, seconds: float) -> Any:
            return await client.describe_replica(self.target.collection, timeout=seconds)

        return frozenset(
            (replica.id, shard.channel_name, shard.shard_leader, frozenset(replica.group_nodes))
            for replica in await self._call(work, deadline)
            for shard in replica.shards
        )

    async def record(self, deadline: float) -> ReleaseRecord | None:
        """The release's record that the collection carries; None without one. `stores_fields` is as it says."""

        async def work(client: Any, seconds: float) -> Any:
            return await client.describe_collection(self.target.collection, timeout=seconds)

        record = ReleaseRecord.from_description((await self._call(work, deadline))["description"])
        self.stores_fields = record is not None and record.stores_fields
        return record

    async def _call(self, work: Callable[[Any, float], Awaitable[T]], deadline: float) -> T:
        loop = asyncio.get_running_loop()
        client = self._client
        try:
            async with asyncio.timeout_at(deadline):
                return await work(client, max(deadline - loop.time(), 0.001))
        except TimeoutError:
            raise Unavailable("milvus", "timeout", "Milvus did not answer in time") from None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # gRPC cancels a call whose channel pymilvus replaced; nobody cancelled the query.
            raise Unavailable("milvus", "connection", "the connection to Milvus was renewed") from None
        except MILVUS_ERRORS as error:
            if is_auth_failure(error):
                await self._renew(client)
                raise Unavailable("milvus", "credentials", "Milvus refused the credentials") from None
            if loop.time() >= deadline:
                raise Unavailable("milvus", "timeout", "Milvus did not answer in time") from None
            raise self._unavailable(error) from None

    def _unavailable(self, error: BaseException) -> Unavailable:
        state = _COLLECTION_STATES.get(error.code) if isinstance(error, MilvusException) else None
        if state is not None:
            return Unavailable("milvus", "collection", f"collection {self.target.collection} {state}")
        connection = "connect" in describe(error).lower() or "UNAVAILABLE" in describe(error)
        if connection:
            return Unavailable("milvus", "connection", "Milvus can't be reached")
        return Unavailable("milvus", "refused", "Milvus refused the search")

    async def _renew(self, refused: Any) -> None:
        """Another client, with the credentials as their files have them now: a rotated Secret heals."""
        if refused is self._client:
            self._client = self._connect()
            await refused.close()

    async def close(self) -> None:
        """Closes the channel."""
        await self._client.close()
