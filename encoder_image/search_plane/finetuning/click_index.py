"""Click rows, and the products that they name, from Elasticsearch."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from search_plane.finetuning.rows import FIELDS, Refused, Row, Skipped, checked
from search_plane.jobs.failure import JobFailed
from search_plane.jobs.rendering import Renderer, Unusable
from search_plane.jobs.scan import Catalogue, Document, PointInTimeExpired
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import CatalogueConnection

T = TypeVar("T")

# For how many seconds one request is tried again while Elasticsearch is away.
PATIENCE = 60.0
# Elasticsearch answers at most 10,000 hits to one search (index.max_result_window).
_FETCHED_AT_ONCE = 1000


def index_rows(target: CatalogueTarget) -> list[Row | Skipped]:
    """All documents of an index of clicks, in one point in time. Raises Refused where it can't be read.

    Only ClickRow's fields are asked for, so a document may hold others.
    """

    async def read(catalogue: Catalogue) -> list[Row | Skipped]:
        async with await catalogue.scan() as scan:
            return [row_of(target.index, document) async for page in scan.pages() for document in page]

    return _run(target, list(FIELDS), read)


def row_of(index: str, document: Document) -> Row | Skipped:
    """A hit as a row; its place is `index/_id`."""
    return checked(f"{index}/{document.id}", document.source)


def catalogue_texts(
    target: CatalogueTarget, renderer: Renderer, ids: Collection[str]
) -> dict[str, str | Unusable]:
    """Text of each product that the index holds, rendered as jobs do. Raises Refused where it can't be read."""
    wanted = sorted(ids)

    async def read(catalogue: Catalogue) -> dict[str, str | Unusable]:
        texts: dict[str, str | Unusable] = {}
        for start in range(0, len(wanted), _FETCHED_AT_ONCE):
            found = await catalogue.fetch(wanted[start : start + _FETCHED_AT_ONCE])
            for document in found.values():
                made = renderer.render(document.id, document.source)
                texts[document.id] = made if isinstance(made, Unusable) else made.text
        return texts

    return _run(target, renderer.source_fields, read)


def _run(target: CatalogueTarget, fields: list[str], read: Callable[[Catalogue], Awaitable[T]]) -> T:
    async def story() -> T:
        connection = CatalogueConnection(target)
        try:
            return await read(Catalogue(connection, fields, patience=PATIENCE))
        finally:
            await connection.close()

    try:
        return asyncio.run(story())
    except JobFailed as error:
        raise Refused(f"{target.url} {target.index}: {error}") from error
    except PointInTimeExpired as error:
        raise Refused(
            f"{target.url} {target.index}: the point in time is gone ({error}): run it again"
        ) from error
