"""The nearest products in Milvus, asked by the physical collection of one release."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import AsyncMilvusClient, MilvusException

from search_plane.gateway.faults import Unavailable
from search_plane.release.record import VECTOR_FIELD, MilvusTarget
from search_plane.stores.credentials import read_credential
from search_plane.stores.milvus import MILVUS_ERRORS, describe, is_auth_failure

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
    """A product near the query. `score` is Milvus' distance by the collection's metric (COSINE: -1..1)."""

    id: str
    score: float


class VectorSearch:
    """Searches one collection over one gRPC channel, which multiplexes all queries.

    pymilvus itself tries a broken channel once more on a new one, within the deadline it is given.
    """

    def __init__(self, target: MilvusTarget, timeout_seconds: float) -> None:
        self._target = target
        self._timeout = timeout_seconds
        self._client = self._connect()

    def _connect(self) -> Any:
        folder = self._target.credentials_dir
        return AsyncMilvusClient(
            uri=self._target.uri,
            user=read_credential(folder, "username"),
            password=read_credential(folder, "password"),
            token=read_credential(folder, "token"),
            db_name=self._target.database,
            timeout=self._timeout,
            # Shared channels are never closed; ours ends with its release.
            dedicated=True,
            grpc_options=_GRPC_OPTIONS,
        )

    async def nearest(self, vector: NDArray[np.float32], limit: int, until: float) -> list[Neighbour]:
        """The `limit` nearest rows to a vector of shape (dimension,), nearest first.

        Raises Unavailable without an answer by the loop's time `until` or the dependency's own deadline.
        """
        loop = asyncio.get_running_loop()
        client = self._client
        deadline = min(until, loop.time() + self._timeout)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._search(client, vector, limit, max(deadline - loop.time(), 0.001))
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

    async def _search(
        self, client: Any, vector: NDArray[np.float32], limit: int, seconds: float
    ) -> list[Neighbour]:
        target = self._target
        result = await client.search(
            target.collection,
            data=[vector],
            anns_field=VECTOR_FIELD,
            # Milvus refuses an ef below the limit.
            search_params={"metric_type": target.metric, "params": {"ef": max(target.ef, limit)}},
            limit=limit,
            consistency_level="Bounded",
            timeout=seconds,
        )
        hits = result[0]
        return [
            Neighbour(str(id_), float(score)) for id_, score in zip(hits.ids, hits.distances, strict=True)
        ]

    def _unavailable(self, error: BaseException) -> Unavailable:
        state = _COLLECTION_STATES.get(error.code) if isinstance(error, MilvusException) else None
        if state is not None:
            return Unavailable("milvus", "collection", f"collection {self._target.collection} {state}")
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
