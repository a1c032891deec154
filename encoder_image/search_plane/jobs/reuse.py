"""Vectors that need not be made again: copied from a collection of the same encoder where the text is the same."""

import logging
from collections.abc import Sequence

from search_plane.jobs.collection import NewRow, ReleaseCollection, Row
from search_plane.jobs.failure import JobFailed
from search_plane.jobs.rendering import Rendered

log = logging.getLogger(__name__)


class Donors:
    """Collections to copy from. They only spare work: one that is unfit or fails is done without."""

    def __init__(self, collections: Sequence[ReleaseCollection], filled: ReleaseCollection) -> None:
        """`filled` is the collection that the job writes. Donors should have little patience of their own."""
        self._donors = [donor for donor in collections if donor.name != filled.name]
        self._filled = filled

    async def admit(self, fingerprint: str, dimension: int) -> bool:
        """Lets go of those that are not of this encoder by their own record; whether any is left."""
        for donor in tuple(self._donors):
            try:
                await donor.check(fingerprint, dimension)
            except JobFailed as unfit:
                self._dismiss(donor, unfit)
        return bool(self._donors)

    async def copies(self, texts: Sequence[Rendered]) -> list[NewRow]:
        """Rows for those of the texts that some donor holds with the same content hash."""
        lacking = {text.id: text for text in texts}
        copies: list[NewRow] = []
        for donor in tuple(self._donors):
            if not lacking:
                break
            for row in await self._ask(donor, list(lacking)):
                text = lacking.get(row.id)
                if text is not None and text.content_hash == row.content_hash:
                    del lacking[row.id]
                    copies.append(NewRow(text, row.vector, "reused"))
        return copies

    async def _ask(self, donor: ReleaseCollection, ids: list[str]) -> list[Row]:
        try:
            return await donor.rows(ids)
        except JobFailed as first:
            if first.reason != "VectorStoreUnavailable":
                self._dismiss(donor, first)
                return []
        # Milvus as a whole may be away. The job's own patience ends that, or ends the job.
        await self._filled.count()
        try:
            return await donor.rows(ids)
        except JobFailed as second:
            self._dismiss(donor, second)
            return []

    def _dismiss(self, donor: ReleaseCollection, why: JobFailed) -> None:
        if donor in self._donors:
            self._donors.remove(donor)
            log.warning("vectors are not reused", extra={"collection": donor.name, "error": str(why)})
