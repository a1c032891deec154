"""Scans of a real Elasticsearch, digests of a real Milvus, and what either does when it forgets or refuses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import web
from elasticsearch import AuthenticationException, ConnectionError, Elasticsearch
from pymilvus import MilvusClient
from search_plane.jobs.collection import ReleaseCollection
from search_plane.jobs.failure import JobFailed
from search_plane.jobs.idset import IdSetDigest, bucket_of
from search_plane.jobs.scan import Catalogue, PointInTimeExpired, Slice
from search_plane.release.record import CatalogueTarget, MilvusTarget
from search_plane.stores.catalogue import CatalogueConnection, connect_blocking, describe
from search_plane.stores.milvus import MilvusConnection

from sample_catalogue import apply_changes, generate, index_definition, load
from sample_catalogue.changes import Change, ChangeKind
from tests.integration.job_fixtures import NO_PRODUCT
from tests.testbed.plane import create_release_collection, free_port, sample_record
from tests.testbed.weights.folder import WeightsFolder

pytestmark = pytest.mark.stores

PRODUCTS = 300


@pytest.fixture
def target(elasticsearch_url: str) -> Iterator[CatalogueTarget]:
    target = CatalogueTarget(url=elasticsearch_url, index=f"scan-{uuid4().hex[:8]}")
    with connect_blocking(target, timeout=60) as client:
        client.indices.create(index=target.index, **index_definition("standard", shards=3))
        load(client, target.index, PRODUCTS, analyzer="standard")
        yield target
        client.indices.delete(index=target.index)


@asynccontextmanager
async def opened(
    target: CatalogueTarget, page_rows: int = 7, part: Slice | None = None
) -> AsyncIterator[Catalogue]:
    connection = CatalogueConnection(target)
    try:
        yield Catalogue(connection, ["sku", "title"], page_rows, patience=5, part=part)
    finally:
        await connection.close()


async def ids_of(catalogue: Catalogue) -> list[str]:
    async with await catalogue.scan() as scan:
        return [document.id async for page in scan.pages() for document in page]


def test_every_document_comes_once_with_the_fields_asked_for(target: CatalogueTarget) -> None:
    async def story() -> None:
        async with opened(target) as catalogue, await catalogue.scan() as scan:
            documents = [document async for page in scan.pages() for document in page]
            assert scan.total == PRODUCTS
        assert sorted(document.id for document in documents) == sorted(
            product.sku for product in generate(PRODUCTS)
        )
        assert all(document.source.keys() == {"sku", "title"} for document in documents)

    asyncio.run(story())


def test_the_filter_decides_which_documents_exist(target: CatalogueTarget) -> None:
    on_sale = {product.sku for product in generate(PRODUCTS) if product.on_sale}
    off = next(product.sku for product in generate(PRODUCTS) if not product.on_sale)

    async def story() -> None:
        async with opened(target.model_copy(update={"filter": "on_sale:true"})) as catalogue:
            assert set(await ids_of(catalogue)) == on_sale
            fetched = await catalogue.fetch([off, "nowhere", *sorted(on_sale)[:3]])
            assert fetched.keys() == set(sorted(on_sale)[:3])

    asyncio.run(story())


def test_a_scan_sees_one_point_in_time(target: CatalogueTarget) -> None:
    async def story() -> None:
        async with opened(target) as catalogue, await catalogue.scan() as scan:
            pages = scan.pages()
            seen = [document.id for document in await anext(pages)]
            new = next(generate(1, start=PRODUCTS))
            with connect_blocking(target) as client:
                apply_changes(client, target.index, [Change(ChangeKind.ADDED, new.sku, new.document())])
            seen += [document.id async for page in pages for document in page]
            assert len(seen) == PRODUCTS
            assert new.sku not in seen
            assert new.sku in await ids_of(catalogue)

    asyncio.run(story())


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_slices_are_disjoint_and_whole_whatever_comes_and_goes_between_their_scans(
    target: CatalogueTarget, parts: int
) -> None:
    """The index has three shards: more than two slices, as many as three, fewer than five."""

    async def ids_in(part: Slice) -> list[str]:
        async with opened(target, part=part) as catalogue, await catalogue.scan() as scan:
            ids = [document.id async for page in scan.pages() for document in page]
            assert len(ids) == scan.total
        return ids

    found: list[str] = []
    with connect_blocking(target, timeout=60) as client:
        for number in range(parts):
            # Each part is read in a point in time of its own, as a worker does that starts later or again.
            part = asyncio.run(ids_in(Slice(number, parts)))
            assert len(part) > PRODUCTS / parts / 3, f"slice {number} is much smaller than the others"
            found += part
            new = list(generate(30, start=PRODUCTS + 30 * number))
            added = [Change(ChangeKind.ADDED, product.sku, product.document()) for product in new]
            apply_changes(client, target.index, added)
            gone = [Change(ChangeKind.DELETED, product.sku, None) for product in new[:10]]
            apply_changes(client, target.index, gone)
            # Other segments, other numbers of Lucene's.
            client.indices.forcemerge(index=target.index, max_num_segments=1)
    assert len(found) == len(set(found))
    assert set(found) >= {product.sku for product in generate(PRODUCTS)}


def test_a_forgotten_point_in_time_is_told_apart_from_an_empty_page(target: CatalogueTarget) -> None:
    async def story() -> None:
        async with opened(target) as catalogue, await catalogue.scan() as scan:
            pages = scan.pages()
            await anext(pages)
            await catalogue.close(scan.point_in_time)
            with pytest.raises(PointInTimeExpired):
                await anext(pages)

    asyncio.run(story())


def test_a_scan_that_is_held_back_is_kept_alive(target: CatalogueTarget) -> None:
    async def story() -> list[str]:
        renewals = asyncio.Semaphore(0)

        class CountingCatalogue(Catalogue):
            async def page(self, pit: str, after: list[object] | None, rows: int) -> object:
                if rows == 0:
                    renewals.release()
                return await super().page(pit, after, rows)

        connection = CatalogueConnection(target)
        catalogue = CountingCatalogue(connection, ["title"], 100, patience=5, keep_alive=1)
        async with await catalogue.scan() as scan:
            pages = scan.pages()
            seen = [document.id for document in await anext(pages)]
            async with asyncio.timeout(20):
                for _ in range(3):
                    await renewals.acquire()
            seen += [document.id async for page in pages for document in page]
        await connection.close()
        return seen

    assert len(asyncio.run(story())) == PRODUCTS


@pytest.fixture
def collection(milvus_uri: str, tiny_encoder: WeightsFolder) -> Iterator[tuple[MilvusClient, MilvusTarget]]:
    client = MilvusClient(uri=milvus_uri, timeout=30)
    name = f"digest_{uuid4().hex[:8]}"
    create_release_collection(client, sample_record(tiny_encoder.identity, "r-12345678"), name)
    yield client, MilvusTarget(uri=milvus_uri, collection=name)
    client.drop_collection(name, timeout=30)


def test_a_digest_covers_sealed_growing_and_deleted_rows(
    collection: tuple[MilvusClient, MilvusTarget], tiny_encoder: WeightsFolder
) -> None:
    client, target = collection
    rng = random.Random(7)
    rows = {
        f"货{number:06d}" if number % 3 else f'a"\\{number}': f"{rng.getrandbits(128):032x}"
        for number in range(18_000)
    }
    vector = [0.5] * tiny_encoder.identity.dimension

    def write(part: list[str]) -> None:
        for start in range(0, len(part), 3000):
            data = [
                {"id": row, "content_hash": rows[row], "dense": vector} | NO_PRODUCT
                for row in part[start : start + 3000]
            ]
            client.upsert(target.collection, data, timeout=60)

    ids = rng.sample(sorted(rows), len(rows))
    write(ids[:10_000])
    client.flush(target.collection, timeout=60)
    write(ids[10_000:])
    changed, gone = ids[5_000:5_500] + ids[12_000:12_500], ids[9_000:9_700] + ids[15_000:15_300]
    for row in changed:
        rows[row] = "f" * 32
    write(changed)

    async def story() -> None:
        connection = MilvusConnection(target)
        held = ReleaseCollection(connection, patience=30)
        await held.delete(gone)
        for row in gone:
            del rows[row]
        expected = IdSetDigest()
        for row, content_hash in rows.items():
            expected.add(row, content_hash)
        found = await held.digest()
        assert found.rows == len(rows) == await held.count()
        assert not expected.differing(found)
        buckets = {0, 17, 512}
        assert sorted(await held.ids_in(buckets, found.buckets)) == sorted(
            r for r in rows if bucket_of(r) in buckets
        )
        asked = [*gone[:5], *sorted(rows)[:500]]
        assert await held.content_hashes(asked) == {row: rows[row] for row in asked[5:]}
        connection.close()

    asyncio.run(story())


def test_a_collection_of_another_release_or_none_is_refused(
    collection: tuple[MilvusClient, MilvusTarget], tiny_encoder: WeightsFolder
) -> None:
    identity = tiny_encoder.identity
    fingerprint = identity.fingerprint()

    async def refusal(target: MilvusTarget, fingerprint: str, dimension: int) -> tuple[str, str]:
        connection = MilvusConnection(target)
        try:
            with pytest.raises(JobFailed) as failed:
                await ReleaseCollection(connection, patience=1).check(fingerprint, dimension)
        finally:
            connection.close()
        return failed.value.reason, str(failed.value)

    client, target = collection
    assert asyncio.run(refusal(target, "sha256:other", identity.dimension))[0] == "FingerprintMismatch"
    assert asyncio.run(refusal(target, fingerprint, 3))[0] == "VectorStoreRefused"
    foreign = target.model_copy(update={"collection": f"foreign_{uuid4().hex[:8]}"})
    client.create_collection(foreign.collection, dimension=identity.dimension, timeout=30)
    try:
        reason, message = asyncio.run(refusal(foreign, fingerprint, identity.dimension))
    finally:
        client.drop_collection(foreign.collection, timeout=30)
    assert reason == "VectorStoreRefused"
    assert "no release record" in message


class FakeSecuredElasticsearch:
    """Answers `GET /` to one password, moves `GET /moved/...` elsewhere; the real test node has no security."""

    def __init__(self) -> None:
        self.port = free_port()
        self.password = "first"
        self.followed = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {"X-Elastic-Product": "Elasticsearch"}
        if request.path.startswith("/elsewhere"):
            self.followed += 1
            return web.json_response({}, headers=headers)
        if request.path.startswith("/moved"):
            raise web.HTTPTemporaryRedirect("/elsewhere", headers=headers)
        given = request.headers.get("Authorization", "")
        if Elasticsearch(self.url, basic_auth=("user", self.password))._headers["authorization"] != given:
            return web.json_response({"error": "no"}, status=401, headers=headers)
        return web.json_response({"version": {"number": "8.19.0"}}, headers=headers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeSecuredElasticsearch]:
        application = web.Application()
        application.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield self
        finally:
            await runner.cleanup()


def test_a_rotated_password_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("user\n")
    (tmp_path / "password").write_text("first\n")

    async def story() -> None:
        async with FakeSecuredElasticsearch().running() as server:
            connection = CatalogueConnection(
                CatalogueTarget(url=server.url, index="x", credentials_dir=str(tmp_path))
            )
            try:
                await connection.call(lambda client: client.info())
                server.password = "second"
                with pytest.raises(AuthenticationException):
                    await connection.call(lambda client: client.info())
                (tmp_path / "password").write_text("second\n")
                await connection.call(lambda client: client.info())
            finally:
                await connection.close()

    asyncio.run(story())


def test_a_redirect_is_not_followed() -> None:
    async def story() -> int:
        async with FakeSecuredElasticsearch().running() as server:
            connection = CatalogueConnection(CatalogueTarget(url=server.url, index="x"))
            try:
                with pytest.raises(ConnectionError) as refused:
                    await connection.call(lambda client: client.perform_request("GET", "/moved/x"))
            finally:
                await connection.close()
            assert "redirected to /elsewhere" in describe(refused.value)
            return server.followed

    assert asyncio.run(story()) == 0
