"""Build workers, each on its slice of a real catalogue, and the catch-up that ends what they began."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from sample_catalogue import apply_changes, generate, mutate
from tests.integration.job_fixtures import SEED, MakeShop, Shop, encoder, make_shop
from tests.testbed.plane import JobProcess, wait_until

__all__ = ["encoder", "make_shop"]

pytestmark = pytest.mark.stores

NOW = datetime(2026, 11, 22, tzinfo=UTC)
# Eight batches of 32 may be with the encoder, 512 rows wait and 512 be on their way when a worker is killed.
IN_FLIGHT = 8 * 32 + 2 * 512


def worker(shop: Shop, number: int, of: int, **settings: object) -> JobProcess:
    return shop.job("build", SLICES=of, JOB_COMPLETION_INDEX=number, **settings)


def has_written(job: JobProcess, rows: int) -> bool:
    return (now := job.progress()) is not None and now.embedded >= rows


def test_what_is_written_and_deleted_during_a_build_is_in_after_the_catch_up(make_shop: MakeShop) -> None:
    shop = make_shop(products=3000)
    # Slow ones, so that none has ended when the last one is amidst its slice.
    slow = {"EMBED_BATCH": 8, "EMBED_REQUESTS": 1, "UPSERT_ROWS": 64}
    workers = [worker(shop, number, 3, **slow) for number in range(3)]
    wait_until("every worker to have written", lambda: all(has_written(job, 50) for job in workers))
    changes = list(mutate(SEED, 3000, at=NOW, repriced=30, retitled=90, deleted=60, added=30))
    apply_changes(shop.elasticsearch, shop.index, changes)
    changed_at = datetime.now(UTC)
    for job in workers:
        assert job.wait() == 0, job.tail()
        report = job.report()
        assert (report.result, report.deleted, report.id_sets_equal) == ("Succeeded", 0, False)
        assert report.watermark is not None
        assert report.watermark < changed_at
    reports = [job.report() for job in workers]
    # Whatever point in time a worker had: nothing was in two slices but what was written in between.
    assert 3000 <= sum(report.rows for report in reports) <= 3000 + 90 + 30 + 30
    assert shop.held() != shop.wanted()

    catch_up = shop.job("catchup")
    assert catch_up.wait() == 0, catch_up.tail()
    report = catch_up.report()
    deleted = {change.sku for change in changes if change.document is None}
    assert (report.rows, report.deleted, report.id_sets_equal) == (3000 - 60 + 30, 60, True)
    # What the build did is not done again.
    assert report.embedded <= 90 + 30
    assert report.watermark is not None
    assert report.watermark > changed_at
    assert shop.held() == shop.wanted()
    assert not deleted & shop.held().keys()

    fresh = shop.beside()
    again = fresh.job("catchup")
    assert again.wait() == 0, again.tail()
    assert again.report().embedded == 3000 - 60 + 30
    made, remade = shop.vectors(), fresh.vectors()
    assert made.keys() == remade.keys()
    ids = sorted(made)
    np.testing.assert_allclose([made[row] for row in ids], [remade[row] for row in ids], atol=1e-5)


def test_a_killed_worker_goes_on_where_it_was(make_shop: MakeShop) -> None:
    shop = make_shop(products=3000)
    before = shop.encoder.texts_embedded()
    killed = worker(shop, 1, 2)
    wait_until("500 rows to be written", lambda: has_written(killed, 500))
    killed.kill()
    survived = len(shop.held())
    # So that its successor's point in time is another one.
    apply_changes(shop.elasticsearch, shop.index, mutate(SEED, 3000, at=NOW, added=10))

    other, resumed = worker(shop, 0, 2), worker(shop, 1, 2)
    for job in (other, resumed):
        assert job.wait() == 0, job.tail()
    assert (other.report().unchanged, other.report().embedded) == (0, other.report().rows)
    report = resumed.report()
    assert 500 <= survived < report.rows
    assert (report.unchanged, report.embedded) == (survived, report.rows - survived)
    assert shop.held() == shop.wanted()
    assert len(shop.held()) == 3010 == report.rows + other.report().rows
    assert shop.encoder.texts_embedded() - before <= 3010 + IN_FLIGHT

    catch_up = shop.job("catchup")
    assert catch_up.wait() == 0, catch_up.tail()
    assert (catch_up.report().embedded, catch_up.report().unchanged) == (0, 3010)


def test_an_empty_slice_is_done_and_an_empty_catalogue_is_not(make_shop: MakeShop) -> None:
    shop = make_shop(products=0)
    workers = [worker(shop, 0, 1), worker(shop, 1, 2), shop.job("catchup")]
    assert [job.wait() for job in workers] == [3, 0, 3]
    assert [job.report().reason for job in workers] == ["EmptyCatalogue", "Completed", "EmptyCatalogue"]

    (product,) = generate(1, SEED)
    shop.elasticsearch.index(index=shop.index, id=product.sku, document=product.document(), refresh=True)
    workers = [worker(shop, number, 2) for number in range(2)]
    assert [job.wait() for job in workers] == [0, 0]
    assert sorted(job.report().rows for job in workers) == [0, 1]
    assert shop.held() == shop.wanted()
