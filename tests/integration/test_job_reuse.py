"""Vectors copied from a collection of the same encoder, never from another's; and what a donor's end does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from pymilvus import MilvusClient
from search_plane.jobs.collection import ReleaseCollection, Row
from search_plane.jobs.embedding import EncoderClient
from search_plane.jobs.progress import ProgressBoard
from search_plane.jobs.rendering import Renderer
from search_plane.jobs.reuse import Donors
from search_plane.jobs.scan import Catalogue
from search_plane.jobs.sync import Sync
from search_plane.stores.catalogue import CatalogueConnection
from search_plane.stores.milvus import MilvusConnection

from sample_catalogue import apply_changes, mutate
from tests.integration.job_fixtures import NO_PRODUCT, SEED, MakeShop, Shop, encoder, make_shop

__all__ = ["encoder", "make_shop"]

pytestmark = pytest.mark.stores

PRODUCTS = 1200
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def filled(make_shop: MakeShop) -> Shop:
    shop = make_shop(products=PRODUCTS)
    job = shop.job()
    assert job.wait() == 0, job.tail()
    return shop


def impostor(shop: Shop) -> Shop:
    """A release by another encoder of the same dimension, with the same ids and content hashes."""
    other = shop.encoder.identity.model_copy(update={"revision": "another"})
    beside = shop.beside(identity=other)
    rows = [
        {"id": row, "content_hash": content_hash, "dense": [0.5] * other.dimension} | NO_PRODUCT
        for row, content_hash in shop.wanted().items()
    ]
    beside.milvus.upsert(beside.release.milvus.collection, rows, timeout=30)
    return beside


def test_the_same_encoders_vectors_are_copied_where_the_text_is_the_same(make_shop: MakeShop) -> None:
    active = filled(make_shop)
    other = impostor(active)
    changes = mutate(SEED, PRODUCTS, at=NOW, repriced=20, retitled=15, deleted=10)
    apply_changes(active.elasticsearch, active.index, changes)
    donors = [other.release.milvus.collection, "nowhere", active.release.milvus.collection]
    candidate = active.beside(*donors)
    before = active.encoder.texts_embedded()

    build = candidate.job("build")
    assert build.wait() == 0, build.tail()
    report = build.report()
    assert (report.rows, report.reused, report.embedded, report.unchanged) == (1190, 1175, 15, 0)
    assert active.encoder.texts_embedded() - before == 15
    assert candidate.held() == candidate.wanted()
    texts, old, new = active.held(), active.vectors(), candidate.vectors()
    same = [row for row, content_hash in candidate.held().items() if texts[row] == content_hash]
    assert len(same) == 1175
    assert all(np.array_equal(old[row], new[row]) for row in same)
    log = build.log.read_text()
    assert log.count("vectors are not reused") == 2

    catch_up = candidate.job("catchup")
    assert catch_up.wait() == 0, catch_up.tail()
    assert (catch_up.report().reused, catch_up.report().embedded, catch_up.report().rows) == (0, 0, 1190)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1)])
def test_vectors_are_copied_between_rows_with_fields_and_without(
    make_shop: MakeShop, old: int, new: int
) -> None:
    shop = make_shop(products=300, row_schema=old)
    job = shop.job()
    assert job.wait() == 0, job.tail()
    candidate = shop.beside(shop.release.milvus.collection, row_schema=new)
    job = candidate.job()
    assert job.wait() == 0, job.tail()
    report = job.report()
    assert (report.rows, report.reused, report.embedded, report.updated) == (300, 300, 0, 0)
    assert candidate.held() == candidate.wanted()
    vectors = shop.vectors()
    assert all(np.array_equal(vectors[row], vector) for row, vector in candidate.vectors().items())
    if new == 2:
        assert candidate.stored() == candidate.sold()


def test_another_encoders_vectors_are_never_copied(make_shop: MakeShop) -> None:
    shop = make_shop(products=200)
    shop.release = shop.release.model_copy(update={"reuse": (impostor(shop).release.milvus.collection,)})
    before = shop.encoder.texts_embedded()
    job = shop.job()
    assert job.wait() == 0, job.tail()
    assert (job.report().reused, job.report().embedded) == (0, 200)
    assert shop.encoder.texts_embedded() - before == 200
    assert not any(np.all(vector == 0.5) for vector in shop.vectors().values())


def drop(client: MilvusClient, collection: str) -> None:
    client.drop_collection(collection, timeout=30)


def release(client: MilvusClient, collection: str) -> None:
    client.release_collection(collection, timeout=30)


@pytest.mark.parametrize("end", [drop, release])
def test_a_donor_that_ends_amidst_the_job_is_done_without(
    make_shop: MakeShop, end: Callable[[MilvusClient, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    active = filled(make_shop)
    name = active.release.milvus.collection
    candidate = active.beside(name)

    class MortalCollection(ReleaseCollection):
        """Ends after its first chunk was read, before the second."""

        reads = 0
        turn = asyncio.Lock()

        async def rows(self, ids: Sequence[str]) -> list[Row]:
            async with self.turn:
                self.reads += 1
                if self.reads == 2:
                    await asyncio.to_thread(end, active.milvus, name)
                return await super().rows(ids)

    async def story() -> ProgressBoard:
        release = candidate.release
        board = ProgressBoard()
        renderer = Renderer(release.encoder.text_template, release.catalogue.fields.id)
        connection = CatalogueConnection(release.catalogue)
        milvus = MilvusConnection(release.milvus)
        client = EncoderClient(release.encoder_url, release.fingerprint, release.encoder.dimension)
        collection = ReleaseCollection(milvus)
        donors = Donors([MortalCollection(milvus, patience=1, name=name)], collection)
        catalogue = Catalogue(connection, renderer.source_fields)
        async with asyncio.timeout(120):
            await Sync(catalogue, renderer, client, collection, board, donors=donors).fill()
        await client.close()
        await connection.close()
        milvus.close()
        return board

    board = asyncio.run(story())
    assert 0 < board.reused < PRODUCTS
    assert board.embedded == PRODUCTS - board.reused
    assert candidate.held() == candidate.wanted()
    assert "vectors are not reused" in caplog.text
