"""Do catalogue and collection hold the same? What differs is looked at one by one, and twice."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from search_plane.jobs.failure import JobFailed
from search_plane.jobs.idset import IdSetDigest, bucket_of
from search_plane.jobs.rendering import Rendered, Renderer
from search_plane.jobs.scan import Catalogue, Document, PointInTimeExpired
from search_plane.jobs.verify_collection import ExaminedCollection

T = TypeVar("T")

READINGS = 3
READING_SECONDS = 1.0
CONFIRM_SECONDS = 2.0
_MAX_RESTARTS = 5
_CHECK_ROWS = 1000
_IDS_AT_ONCE = 200_000
# Documents that the encoder refuses are missing for a reason; so many of the missing ones are asked about.
_MOST_ASKED = 100


@dataclass(slots=True)
class Differences:
    """Ids by how they differ: documents without a row, rows without a document, rows with another text."""

    missing: set[str] = field(default_factory=set)
    extra: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)

    def all(self) -> list[str]:
        """Every differing id."""
        return sorted(self.missing | self.extra | self.stale)

    def also_in(self, later: "Differences") -> "Differences":
        """What differs in the same way in both readings."""
        return Differences(self.missing & later.missing, self.extra & later.extra, self.stale & later.stale)

    def add(self, more: "Differences") -> None:
        """Takes over what another part of the catalogue showed."""
        self.missing |= more.missing
        self.extra |= more.extra
        self.stale |= more.stale


def differences(wanted: Mapping[str, str], held: Mapping[str, str], ids: Iterable[str]) -> Differences:
    """How the given ids differ; both sides map id to content hash."""
    found = Differences()
    for row in ids:
        if row not in held:
            if row in wanted:
                found.missing.add(row)
        elif row not in wanted:
            found.extra.add(row)
        elif wanted[row] != held[row]:
            found.stale.add(row)
    return found


async def least_count(collection: ExaminedCollection) -> int:
    """The least of READINGS strong counts, READING_SECONDS apart: a returning query node serves part of its rows."""
    counts = [await collection.count()]
    while len(counts) < READINGS:
        await asyncio.sleep(READING_SECONDS)
        counts.append(await collection.count())
    return min(counts)


class Comparison:
    """Compares a catalogue with a collection, by digests first."""

    def __init__(
        self,
        catalogue: Catalogue,
        renderer: Renderer,
        collection: ExaminedCollection,
        is_refused: Callable[[Rendered], Awaitable[bool]],
    ) -> None:
        """`is_refused` says whether the encoder will not embed a text: such a document has no row to miss."""
        self._catalogue = catalogue
        self._renderer = renderer
        self._collection = collection
        self._is_refused = is_refused

    async def run(self) -> Differences:
        """What differed in two readings, at least CONFIRM_SECONDS apart. Raises JobFailed."""
        wanted = await self._scan(IdSetDigest, lambda digest, row: digest.add(row.id, row.content_hash))
        held = await self._collection.digest(of_texts=True)
        differing = sorted(wanted.differing(held))
        found = Differences()
        # So many buckets at a time that their ids fit into memory whatever the collection's size.
        step = max(1, _IDS_AT_ONCE * wanted.buckets // max(1, held.rows, wanted.rows))
        for start in range(0, len(differing), step):
            found.add(await self._first_reading(frozenset(differing[start : start + step]), wanted.buckets))
        if not found.all():
            return found
        await asyncio.sleep(CONFIRM_SECONDS)
        return await self._second_reading(found)

    async def _first_reading(self, buckets: Collection[int], number_of_buckets: int) -> Differences:
        def add(rows: dict[str, str], row: Rendered) -> None:
            if bucket_of(row.id, number_of_buckets) in buckets:
                rows[row.id] = row.content_hash

        wanted = await self._scan(dict[str, str], add)
        held = await self._collection.hashes_in(buckets, number_of_buckets)
        return differences(wanted, held, wanted.keys() | held.keys())

    async def _second_reading(self, first: Differences) -> Differences:
        """Looks at each id again, by id on both sides."""
        later = Differences()
        texts: dict[str, Rendered] = {}
        ids = first.all()
        for start in range(0, len(ids), _CHECK_ROWS):
            some = ids[start : start + _CHECK_ROWS]
            documents = await self._catalogue.fetch(some)
            rendered = {row: text for row in some if (text := self._render(documents.get(row)))}
            held = await self._collection.content_hashes(some)
            later.add(differences({row: text.content_hash for row, text in rendered.items()}, held, some))
            texts |= {row: rendered[row] for row in later.missing & rendered.keys()}
        confirmed = first.also_in(later)
        for row in sorted(confirmed.missing)[:_MOST_ASKED]:
            if await self._is_refused(texts[row]):
                confirmed.missing.discard(row)
        return confirmed

    async def _scan(self, begin: Callable[[], T], add: Callable[[T, Rendered], None]) -> T:
        for _ in range(_MAX_RESTARTS):
            result = begin()
            try:
                async with await self._catalogue.scan() as scan:
                    async for page in scan.pages():
                        for document in page:
                            if rendered := self._render(document):
                                add(result, rendered)
            except PointInTimeExpired:
                continue
            return result
        raise JobFailed("CatalogueUnavailable", f"Elasticsearch lost {_MAX_RESTARTS} points in time")

    def _render(self, document: Document | None) -> Rendered | None:
        if document is None:
            return None
        rendered = self._renderer.render(document.id, document.source)
        return rendered if isinstance(rendered, Rendered) else None
