"""The catch-up and refresh jobs on a real Milvus and a real Elasticsearch, with the encoder server as a process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from search_plane.jobs.collection import ReleaseCollection
from search_plane.jobs.embedding import EncoderClient
from search_plane.jobs.progress import ProgressBoard
from search_plane.jobs.rendering import Renderer
from search_plane.jobs.scan import Catalogue
from search_plane.jobs.sync import Outcome, Sync
from search_plane.stores.catalogue import CatalogueConnection
from search_plane.stores.milvus import MilvusConnection

from sample_catalogue import apply_changes, bad_documents, generate, mutate
from tests.integration.job_fixtures import NO_PRODUCT, PRODUCTS, SEED, MakeShop, encoder, make_shop
from tests.testbed.plane import EncoderServer, wait_until
from tests.testbed.weights.folder import WeightsFolder

__all__ = ["encoder", "make_shop"]

pytestmark = pytest.mark.stores

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_build_then_a_run_with_nothing_to_do_then_changes(make_shop: MakeShop) -> None:
    shop = make_shop()
    before = shop.encoder.texts_embedded()

    first = shop.job()
    assert first.wait() == 0, first.tail()
    report = first.report()
    assert (report.result, report.reason, report.id_sets_equal) == ("Succeeded", "Completed", True)
    assert (report.rows, report.embedded, report.unchanged, report.failed) == (PRODUCTS, PRODUCTS, 0, 0)
    assert report.rows_per_second > 0
    assert shop.encoder.texts_embedded() - before == PRODUCTS
    assert shop.held() == shop.wanted()

    assert shop.stored() == shop.sold()

    again = shop.job("refresh")
    assert again.wait() == 0, again.tail()
    report = again.report()
    assert (report.embedded, report.unchanged, report.deleted, report.rows) == (0, PRODUCTS, 0, PRODUCTS)
    assert shop.encoder.texts_embedded() - before == PRODUCTS

    changes = list(mutate(SEED, PRODUCTS, at=NOW, repriced=40, retitled=30, deleted=20, added=10))
    apply_changes(shop.elasticsearch, shop.index, changes)
    sold = shop.sold()
    taken = [bad for bad in bad_documents(SEED) if bad.accepted]
    apply_changes(shop.elasticsearch, shop.index, taken)
    refresh = shop.job("refresh")
    assert refresh.wait() == 0, refresh.tail()
    report = refresh.report()
    wanted = shop.wanted()
    assert shop.held() == wanted
    assert report.rows == len(wanted)
    assert report.deleted == 20
    left_out = {bad.id for bad in taken} - wanted.keys()
    assert report.failed == len(left_out) > 0
    assert {bad.id for bad in report.bad} == left_out
    assert all(bad.reason for bad in report.bad)
    assert report.embedded == 30 + 10 + len(taken) - len(left_out)
    assert (report.updated, report.reused) == (40, 0)
    stored = shop.stored()
    assert {row: stored[row] for row in sold} == sold
    assert stored["BAD-018-word-price"][3:] == (-1.0, True)
    assert stored["BAD-021-word-stock"][4] is False


def test_a_changed_price_is_written_with_the_vector_that_is_there(make_shop: MakeShop) -> None:
    shop = make_shop()
    first = shop.job()
    assert first.wait() == 0, first.tail()
    vectors, before = shop.vectors(), shop.encoder.texts_embedded()
    everyone = list(mutate(SEED, PRODUCTS, at=NOW, repriced=PRODUCTS))
    apply_changes(shop.elasticsearch, shop.index, everyone)
    assert shop.stored() != shop.sold()

    refresh = shop.job("refresh")
    assert refresh.wait() == 0, refresh.tail()
    report = refresh.report()
    assert (report.updated, report.embedded, report.unchanged, report.deleted) == (PRODUCTS, 0, 0, 0)
    assert (report.id_sets_equal, report.rows) == (True, PRODUCTS)
    # Prices that never rest don't make it scan twice.
    assert "after 1 rounds" in report.message, refresh.log.read_text()
    assert shop.encoder.texts_embedded() == before
    assert shop.stored() == shop.sold()
    after = shop.vectors()
    assert all(np.array_equal(vector, after[row]) for row, vector in vectors.items())

    again = shop.job("refresh")
    assert again.wait() == 0, again.tail()
    assert (again.report().updated, again.report().unchanged) == (0, PRODUCTS)


def test_a_release_made_before_is_kept_without_fields(make_shop: MakeShop) -> None:
    shop = make_shop(products=300, row_schema=1)
    job = shop.job()
    assert job.wait() == 0, job.tail()
    assert shop.held() == shop.wanted()
    described = shop.milvus.describe_collection(shop.release.milvus.collection)
    assert {field["name"] for field in described["fields"]} == {"id", "dense", "content_hash"}
    apply_changes(shop.elasticsearch, shop.index, mutate(SEED, 300, at=NOW, repriced=20, retitled=10))
    refresh = shop.job("refresh")
    assert refresh.wait() == 0, refresh.tail()
    assert (refresh.report().updated, refresh.report().embedded) == (0, 10)
    assert refresh.report().unchanged == 290
    assert shop.held() == shop.wanted()


def test_a_document_that_turns_bad_or_leaves_the_filter_leaves_the_collection(make_shop: MakeShop) -> None:
    shop = make_shop(products=300, filter_="on_sale:true")
    products = list(generate(300, SEED))
    on_sale = {product.sku for product in products if product.on_sale}
    first = shop.job()
    assert first.wait() == 0, first.tail()
    assert shop.held().keys() == on_sale < {product.sku for product in products}

    ended, spoilt, *_ = sorted(on_sale)
    shop.elasticsearch.update(index=shop.index, id=ended, doc={"on_sale": False})
    shop.elasticsearch.update(
        index=shop.index, id=spoilt, doc={"title": "", "brand": "", "category": None}, refresh=True
    )
    second = shop.job("refresh")
    assert second.wait() == 0, second.tail()
    assert shop.held().keys() == on_sale - {ended, spoilt}
    assert (second.report().deleted, second.report().embedded) == (2, 0)
    assert [bad.id for bad in second.report().bad] == [spoilt]


def test_rows_that_nobody_knows_are_deleted(make_shop: MakeShop) -> None:
    shop = make_shop(products=100)
    strange = ["ghost", "引号\"'\\ and {braces}", "%", "a" * 128]
    rows = [
        {"id": row, "content_hash": "0" * 32, "dense": [0.5] * shop.encoder.identity.dimension} | NO_PRODUCT
        for row in strange
    ]
    shop.milvus.upsert(shop.release.milvus.collection, rows, timeout=30)
    job = shop.job()
    assert job.wait() == 0, job.tail()
    assert shop.held() == shop.wanted()
    assert job.report().deleted == len(strange)


def test_sigterm_stops_quickly_and_says_so(make_shop: MakeShop) -> None:
    shop = make_shop(products=3000)
    job = shop.job()
    wait_until("the first rows", lambda: (now := job.progress()) is not None and now.embedded > 0)
    job.terminate()
    assert job.wait(30) == 143
    report = job.report()
    assert (report.result, report.reason, report.id_sets_equal) == ("Failed", "Terminated", False)
    assert report.embedded > 0


def test_an_encoder_that_goes_away_is_waited_for(
    make_shop: MakeShop, tiny_encoder: WeightsFolder, tmp_path: Path
) -> None:
    with EncoderServer(tiny_encoder, tmp_path) as server:
        shop = make_shop(products=3000, server=server)
        job = shop.job()
        wait_until("the first rows", lambda: (now := job.progress()) is not None and now.embedded > 0)
        server.kill()
        wait_until("the job to notice", lambda: "encoder not available" in job.log.read_text())
        server.start()
        assert job.wait() == 0, job.tail()
        assert shop.held() == shop.wanted()
        assert job.report().embedded == 3000


def test_an_encoder_that_stays_away_ends_the_job(make_shop: MakeShop) -> None:
    shop = make_shop(products=50)
    shop.release = shop.release.model_copy(update={"encoder_url": "http://127.0.0.1:9"})
    job = shop.job(PATIENCE_SECONDS=2)
    assert job.wait() == 1
    assert job.report().reason == "EncoderUnavailable"
    assert shop.held() == {}


def test_another_encoder_than_the_releases_is_fatal(make_shop: MakeShop, encoder: EncoderServer) -> None:
    other = encoder.identity.model_copy(update={"revision": "another"})
    shop = make_shop(products=50, identity=other)
    job = shop.job()
    assert job.wait() == 1
    report = job.report()
    assert report.reason == "FingerprintMismatch"
    assert other.fingerprint() in report.message
    assert shop.held() == {}


def test_an_empty_catalogue_is_said_and_deletes_nothing(make_shop: MakeShop) -> None:
    shop = make_shop(products=0)
    row = {"id": "kept", "content_hash": "0" * 32, "dense": [0.5] * shop.encoder.identity.dimension}
    shop.milvus.upsert(shop.release.milvus.collection, [row | NO_PRODUCT], timeout=30)
    job = shop.job()
    assert job.wait() == 3
    assert (job.report().result, job.report().reason) == ("Failed", "EmptyCatalogue")
    assert shop.held().keys() == {"kept"}


def test_a_template_that_fits_no_document_deletes_nothing(make_shop: MakeShop) -> None:
    shop = make_shop(products=20)
    built = shop.job()
    assert built.wait() == 0, built.tail()
    misspelt = shop.release.encoder.model_copy(update={"text_template": "{titel}"})
    shop.release = shop.release.model_copy(update={"encoder": misspelt})
    job = shop.job()
    assert job.wait() == 3
    assert "no text in titel" in job.report().message
    assert len(shop.held()) == 20


def test_stores_that_are_not_there_are_named(make_shop: MakeShop) -> None:
    shop = make_shop(products=20)
    whole = shop.release
    missing = whole.milvus.model_copy(update={"collection": "nowhere"})
    away = whole.milvus.model_copy(update={"uri": "http://127.0.0.1:9"})
    other = whole.catalogue.model_copy(update={"index": "nowhere"})
    jobs = []
    for change, reason in (
        ({"milvus": missing}, "VectorStoreRefused"),
        ({"milvus": away}, "VectorStoreUnavailable"),
        ({"catalogue": other}, "CatalogueRefused"),
        ({"catalogue": other.model_copy(update={"url": "http://127.0.0.1:9"})}, "CatalogueUnavailable"),
    ):
        shop.release = whole.model_copy(update=change)
        jobs.append((shop.job(PATIENCE_SECONDS=2), reason))
    for job, reason in jobs:
        assert job.wait() == 1, job.tail()
        assert job.report().reason == reason, job.report()
        assert "Traceback" not in job.log.read_text()


def test_changes_made_while_it_scans_are_in_the_collection_at_the_end(make_shop: MakeShop) -> None:
    shop = make_shop(products=4000)
    job = shop.job()
    wait_until(
        "the scan to be half way", lambda: (now := job.progress()) is not None and now.embedded >= 1000
    )
    changes = list(mutate(SEED, 4000, at=NOW, retitled=60, deleted=40, added=30))
    apply_changes(shop.elasticsearch, shop.index, changes)
    assert job.wait() == 0, job.tail()
    assert shop.held() == shop.wanted()
    assert job.report().id_sets_equal
    assert job.report().rows == 4000 - 40 + 30


def test_an_overloaded_encoder_is_given_time(
    make_shop: MakeShop, tiny_encoder: WeightsFolder, tmp_path: Path
) -> None:
    with EncoderServer(tiny_encoder, tmp_path, MAX_QUEUE_TOKENS=64) as server:
        shop = make_shop(products=500, server=server)
        job = shop.job(EMBED_REQUESTS=8)
        assert job.wait() == 0, job.tail()
        assert shop.held() == shop.wanted()
        assert 'encoder_requests_total{status="429"} 0.0' not in server.metrics()


def test_a_text_that_the_encoder_refuses_is_left_out_alone(make_shop: MakeShop) -> None:
    shop = make_shop(products=100)
    huge, *rest = sorted(shop.wanted())
    first = shop.job()
    assert first.wait() == 0, first.tail()
    # Over the encoder's limit of 2 MiB for a body.
    shop.elasticsearch.update(index=shop.index, id=huge, doc={"title": "货" * 2_000_000})
    shop.elasticsearch.update(index=shop.index, id=rest[0], doc={"title": "换了名字"}, refresh=True)
    job = shop.job("refresh")
    assert job.wait() == 0, job.tail()
    report = job.report()
    assert [bad.id for bad in report.bad] == [huge]
    assert "refused by the encoder" in report.bad[0].reason
    assert (report.embedded, report.deleted, report.rows) == (1, 1, 99)
    assert shop.held().keys() == set(rest)


def test_a_point_in_time_that_is_lost_half_way_is_opened_again(make_shop: MakeShop) -> None:
    shop = make_shop(products=600)
    release = shop.release
    renderer = Renderer(release.encoder.text_template, release.catalogue.fields.id)

    class ForgetfulCatalogue(Catalogue):
        """Loses its point in time once, after the third page."""

        pages = 0

        async def page(self, pit: str, after: list[object] | None, rows: int) -> object:
            self.pages += 1
            if self.pages == 4:
                await self.close(pit)
            return await super().page(pit, after, rows)

    async def story() -> tuple[Outcome, ProgressBoard, int]:
        board = ProgressBoard()
        connection = CatalogueConnection(release.catalogue)
        milvus = MilvusConnection(release.milvus)
        encoder = EncoderClient(release.encoder_url, release.fingerprint, release.encoder.dimension)
        catalogue = ForgetfulCatalogue(connection, renderer.source_fields, page_rows=50)
        async with asyncio.timeout(120):
            outcome = await Sync(catalogue, renderer, encoder, ReleaseCollection(milvus), board).run()
        await encoder.close()
        await connection.close()
        milvus.close()
        return outcome, board, catalogue.pages

    outcome, board, pages = asyncio.run(story())
    assert pages > 4
    assert shop.held() == shop.wanted()
    assert outcome.rows == 600
    # What was on its way when the scan broke off is embedded again, but nothing that was written.
    assert (board.embedded, outcome.unchanged) == (600, 0)
