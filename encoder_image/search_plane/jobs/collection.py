"""The collection that a job fills: what its rows hold, upserts, deletes. Calls run in threads."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pymilvus.exceptions import DataNotMatchException, ParamError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from search_plane.jobs.failure import JobFailed
from search_plane.jobs.idset import IdSetDigest, bucket_of
from search_plane.jobs.rendering import Rendered, content_part
from search_plane.release.record import HASH_FIELD, ID_FIELD, VECTOR_FIELD, ReleaseRecord
from search_plane.release.report import Reason
from search_plane.stores.expression import literal
from search_plane.stores.milvus import (
    MILVUS_ERRORS,
    MilvusConnection,
    describe,
    is_auth_failure,
    is_missing_collection,
)

T = TypeVar("T")

# Milvus answers at most 16,384 rows to one query (quotaAndLimits.limits.maxQueryResultWindow).
_PAGE_ROWS = 8000
_DELETE_ROWS = 1000
_READINGS = 5
_STRONG = "Strong"
_UNFIT = (ParamError, DataNotMatchException)


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is held; `vector` is float32 [dimension] and belongs to the content hash."""

    id: str
    content_hash: str
    vector: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to write: what was rendered, its vector, float32 [dimension], and where that comes from.

    `updated`: from the very row that is replaced, as only the product's fields have changed; `reused`: copied from
    another collection.
    """

    rendered: Rendered
    vector: npt.NDArray[Any]
    origin: Literal["embedded", "reused", "updated"] = "embedded"

    @property
    def columns(self) -> dict[str, Any]:
        """The values by the collection's field."""
        row = self.rendered
        stored = row.stored.columns() if row.stored else {}
        return {ID_FIELD: row.id, HASH_FIELD: row.row_hash, VECTOR_FIELD: self.vector, **stored}


class ReleaseCollection:
    """One release's collection, by its physical name. All reads are strongly consistent."""

    def __init__(
        self,
        connection: MilvusConnection,
        patience: float = 300.0,
        deadline: float = 30.0,
        name: str | None = None,
    ) -> None:
        """`patience`: seconds for which a call is tried again; `deadline`: seconds for one request.

        `name`: another collection than the one that the connection's target names.
        """
        self._connection = connection
        self._name = name or connection.target.collection
        self._patience = patience
        self._deadline = deadline
        self.stores_fields = False

    @property
    def name(self) -> str:
        """Its physical name."""
        return self._name

    async def check(self, fingerprint: str, dimension: int) -> None:
        """Raises JobFailed unless this is a release's collection for vectors of that encoder.

        From then on `stores_fields` says whether its rows hold the product's fields.
        """

        def work(client: Any, timeout: float) -> dict[str, Any]:
            found: dict[str, Any] = client.describe_collection(self._name, timeout=timeout)
            return found

        found = await self._call(work)
        record = ReleaseRecord.from_description(found["description"])
        if record is None:
            raise JobFailed("VectorStoreRefused", f"collection {self._name} carries no release record")
        if record.encoder.fingerprint() != fingerprint:
            held = record.encoder.fingerprint()
            raise JobFailed(
                "FingerprintMismatch", f"collection {self._name} is of {held}, not of {fingerprint}"
            )
        dimensions = [
            field["params"].get("dim") for field in found["fields"] if field["name"] == VECTOR_FIELD
        ]
        if dimensions != [dimension]:
            message = f"collection {self._name} holds vectors of {dimensions}, not of {dimension}"
            raise JobFailed("VectorStoreRefused", message)
        self.stores_fields = record.stores_fields

    async def content_hashes(self, ids: Sequence[str]) -> dict[str, str]:
        """Content hash by id, for those of the ids that the collection holds."""
        return {row: content_part(row_hash) for row, row_hash in (await self.row_hashes(ids)).items()}

    async def row_hashes(self, ids: Sequence[str]) -> dict[str, str]:
        """The rows' own hashes (see Rendered.row_hash) by id, for those of the ids that the collection holds."""

        def work(client: Any, timeout: float) -> list[dict[str, str]]:
            rows: list[dict[str, str]] = client.query(
                self._name,
                filter=f"{ID_FIELD} in {literal(ids)}",
                output_fields=[ID_FIELD, HASH_FIELD],
                consistency_level=_STRONG,
                timeout=timeout,
            )
            return rows

        return {row[ID_FIELD]: row[HASH_FIELD] for row in await self._call(work)}

    async def rows(self, ids: Sequence[str]) -> list[Row]:
        """Those of the given rows that the collection holds; each row's hash and vector belong together."""

        def work(client: Any, timeout: float) -> list[Row]:
            found = client.query(
                self._name,
                filter=f"{ID_FIELD} in {literal(ids)}",
                output_fields=[ID_FIELD, HASH_FIELD, VECTOR_FIELD],
                consistency_level=_STRONG,
                timeout=timeout,
            )
            return [
                Row(
                    row[ID_FIELD],
                    content_part(row[HASH_FIELD]),
                    np.asarray(row[VECTOR_FIELD], dtype=np.float32),
                )
                for row in found
            ]

        return await self._call(work)

    async def upsert(self, rows: Sequence[NewRow]) -> None:
        """Writes rows; a row that exists is replaced. Safe to repeat."""
        data = [row.columns for row in rows]
        await self._call(lambda client, timeout: client.upsert(self._name, data, timeout=timeout))

    async def delete(self, ids: Sequence[str]) -> None:
        """Deletes rows; one that is gone already is no error."""
        for start in range(0, len(ids), _DELETE_ROWS):
            condition = f"{ID_FIELD} in {literal(ids[start : start + _DELETE_ROWS])}"

            def work(client: Any, timeout: float, condition: str = condition) -> None:
                client.delete(self._name, filter=condition, timeout=timeout)

            await self._call(work)

    async def count(self) -> int:
        """Number of rows, strongly consistent."""

        def work(client: Any, timeout: float) -> int:
            answer = client.query(
                self._name, filter="", output_fields=["count(*)"], consistency_level=_STRONG, timeout=timeout
            )
            return int(answer[0]["count(*)"])

        return await self._call(work)

    async def flush(self) -> None:
        """Seals what was written, so that it gets indexed; takes Milvus seconds."""
        await self._call(lambda client, timeout: client.flush(self._name, timeout=timeout), within=120.0)

    async def digest(self, *, of_texts: bool = False) -> IdSetDigest:
        """The digest of all (id, row's hash), or (id, content hash). Believed only when Milvus counts as many rows.

        Raises JobFailed when the two still differ after several readings.
        """
        for reading in range(_READINGS):
            # Milvus 2.3 answers pages from before the last writes, whatever consistency is asked for; a count waits.
            count = await self.count()
            digest = await self._call(partial(self._read_digest, content_part if of_texts else str))
            if digest.rows == count:
                return digest
            await asyncio.sleep(0.5 * 2**reading)
        raise JobFailed(
            "VectorStoreUnavailable", f"Milvus: {_READINGS} readings of all ids missed rows that it counts"
        )

    async def ids_in(self, buckets: Collection[int], number_of_buckets: int) -> list[str]:
        """The ids in some buckets of a digest."""

        def work(client: Any, timeout: float) -> list[str]:
            pages = self._pages(client, timeout, [ID_FIELD])
            return [
                row[ID_FIELD]
                for page in pages
                for row in page
                if bucket_of(row[ID_FIELD], number_of_buckets) in buckets
            ]

        return await self._call(work)

    def _read_digest(self, part: Callable[[str], str], client: Any, timeout: float) -> IdSetDigest:
        digest = IdSetDigest()
        for page in self._pages(client, timeout, [ID_FIELD, HASH_FIELD]):
            for row in page:
                digest.add(row[ID_FIELD], part(row[HASH_FIELD]))
        return digest

    def _pages(self, client: Any, timeout: float, fields: list[str]) -> Iterator[list[dict[str, str]]]:
        # Pages by primary key. pymilvus' own iterator puts ids into its condition without escaping them.
        last = ""
        while True:
            page: list[dict[str, str]] = client.query(
                self._name,
                filter=f"{ID_FIELD} > {literal(last)}",
                output_fields=fields,
                limit=_PAGE_ROWS,
                consistency_level=_STRONG,
                timeout=timeout,
                # Both make the server merge its segments in the order of the primary key, without gaps.
                iterator="True",
                reduce_stop_for_best="True",
            )
            if not page:
                return
            last = max(row[ID_FIELD] for row in page)
            yield page

    async def _call(self, work: Callable[[Any, float], T], within: float | None = None) -> T:
        deadline = self._deadline if within is None else within
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(_is_passing),
                stop=stop_after_delay(self._patience),
                wait=wait_random_exponential(multiplier=0.2, max=5),
                reraise=True,
            ):
                with attempt:
                    return await self._connection.acall(work, deadline)
        except MILVUS_ERRORS as error:
            if is_missing_collection(error):
                raise JobFailed("VectorStoreRefused", f"collection {self._name} does not exist") from error
            reason: Reason = "VectorStoreUnavailable" if _is_passing(error) else "VectorStoreRefused"
            raise JobFailed(reason, f"Milvus: {describe(error)}") from error
        raise AssertionError("unreachable: the last attempt returns or raises")


def _is_passing(error: BaseException) -> bool:
    """Whether trying again may help: everything but a missing collection, refused credentials, unfit rows."""
    refused = is_missing_collection(error) or is_auth_failure(error)
    return isinstance(error, MILVUS_ERRORS) and not refused and not isinstance(error, _UNFIT)
