"""Filters pushed into Milvus, and what is told of hits without the catalogue: on the real stores, through VectorSearch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from pymilvus import MilvusClient
from search_plane.gateway.vectors import Extra, VectorSearch
from search_plane.gateway.watch import CollectionWatch, Expected
from search_plane.release.record import ReleaseSnapshot
from search_plane.release.stored import StoredFields
from search_plane.stores.expression import stored_condition
from search_plane.stores.milvus import MILVUS_ERRORS

from tests.integration.gateway_bed import QUERIES, SCORE_TOLERANCE, Release, drop_release, fill_release
from tests.integration.gateway_fixtures import Shop, shop
from tests.testbed.plane import create_release_collection, sample_record
from tests.testbed.weights.folder import WeightsFolder

__all__ = ["shop"]

pytestmark = pytest.mark.stores

SECONDS = 30.0
Source = Mapping[str, Any]


@asynccontextmanager
async def searching(snapshot: ReleaseSnapshot, extras: list[Extra]) -> AsyncIterator[VectorSearch]:
    """A search of the release that has learned what to expect of its collection."""
    search = VectorSearch(snapshot.milvus, SECONDS, on_extra=extras.append)
    expected = Expected(snapshot.fingerprint, snapshot.encoder.dimension)
    try:
        await CollectionWatch(search.collection, search.wholeness, expected, SECONDS).learn()
        yield search
    finally:
        await search.close()


def soon() -> float:
    return asyncio.get_running_loop().time() + SECONDS


@pytest.fixture(scope="module")
def sources(shop: Shop) -> dict[str, Source]:
    hits = shop.elasticsearch.search(index=shop.index, size=10_000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def nearest_that_pass(
    release: Release, query: str, limit: int, passes: Callable[[Source], bool], sources: Mapping[str, Source]
) -> list[tuple[str, float]]:
    """By brute force."""
    ranked = release.nearest(query, len(release.ids))
    return [(row, score) for row, score in ranked if passes(sources[row])][:limit]


Asked = dict[str, Any]
FILTERS: Sequence[tuple[Asked, Callable[[Source], bool]]] = (
    ({"brands": ["小米"]}, lambda s: s["brand"] == "小米"),
    ({"brands": ["小米", "Bose", "no such brand"]}, lambda s: s["brand"] in ("小米", "Bose")),
    ({"category": "蓝牙耳机"}, lambda s: s["category"] == "蓝牙耳机"),
    ({"price_max": 50}, lambda s: s["price"] <= 50),
    ({"price_min": 100, "price_max": 300.5}, lambda s: 100 <= s["price"] <= 300.5),
    ({"in_stock": True}, lambda s: s["stock"] > 0),
    (
        {"brands": ["小米"], "price_min": 20, "in_stock": True},
        lambda s: s["brand"] == "小米" and s["price"] >= 20 and s["stock"] > 0,
    ),
    ({"brands": ['" or id != "']}, lambda _: False),
)


@pytest.mark.parametrize(("asked", "passes"), FILTERS, ids=[str(asked) for asked, _ in FILTERS])
def test_a_filter_finds_the_nearest_that_pass_it(
    shop: Shop, sources: Mapping[str, Source], asked: Asked, passes: Callable[[Source], bool]
) -> None:
    """Few may pass: that is no sign of missing rows, and costs no second search."""

    async def story() -> None:
        extras: list[Extra] = []
        async with searching(shop.blue.snapshot, extras) as search:
            assert search.stores_fields
            for query in QUERIES[:8]:
                wanted = nearest_that_pass(shop.blue, query, 60, passes, sources)
                vector = shop.blue.queries[query]
                found = await search.nearest(vector, 60, soon(), stored_condition(**asked))
                assert found.whole
                assert len(found.neighbours) == len(wanted)
                assert all(passes(sources[neighbour.id]) for neighbour in found.neighbours)
                scores = [neighbour.score for neighbour in found.neighbours]
                # Products with one text have one vector: any of them may come first.
                assert scores == pytest.approx([score for _, score in wanted], abs=SCORE_TOLERANCE)
            assert not search.wholeness.doubtful
        assert extras == []

    asyncio.run(story())


def test_hits_are_told_as_they_are_stored(shop: Shop, sources: Mapping[str, Source]) -> None:
    async def story() -> None:
        async with searching(shop.blue.snapshot, []) as search:
            nearest = await search.nearest(shop.blue.queries[QUERIES[0]], 105, soon())
            assert all(neighbour.stored is None for neighbour in nearest.neighbours)
            told = await search.with_stored(nearest.neighbours, soon())
            assert [(n.id, n.score) for n in told] == [(n.id, n.score) for n in nearest.neighbours]
            for neighbour in told:
                source = sources[neighbour.id]
                assert neighbour.stored == {
                    **{field: source[field] for field in ("title", "brand", "category", "price")},
                    "in_stock": source["stock"] > 0,
                }
            assert await search.with_stored([], soon()) == []

    asyncio.run(story())


def test_a_release_made_before_has_no_fields_and_is_searched_as_ever(
    shop: Shop, elasticsearch_url: str, milvus_uri: str
) -> None:
    old = fill_release(
        shop.blue_encoder, shop.elasticsearch, shop.index, elasticsearch_url, milvus_uri, row_schema=1
    )

    async def story() -> None:
        async with searching(old.snapshot, []) as search:
            assert not search.stores_fields
            nearest = await search.nearest(old.queries[QUERIES[0]], 20, soon())
            assert (len(nearest.neighbours), nearest.whole) == (20, True)
            assert await search.with_stored(nearest.neighbours, soon()) == nearest.neighbours
            with pytest.raises(ValueError, match="stores no fields"):
                await search.nearest(old.queries[QUERIES[0]], 20, soon(), stored_condition(price_max=5))

    try:
        asyncio.run(story())
    finally:
        drop_release(old)


def nasty_texts(count: int) -> list[str]:
    """Distinct texts of what breaks expressions, mixed with Chinese: always the same."""
    rng = random.Random(20261123)
    bits = ['"', "'", "\\", "%", "_", "\n", "\r", "\t", "\0", "\x07", "\x1b", "\x7f", "\u2028", "{", "}", "[", "]",
            "(", ")", " or ", " and ", "==", "!=", "//", "/*", "--", ";", "$", "\\u0041", "\\x41", "\\n", "小米", "米",
            "Ａ", "é", "e\u0301", "😀", "\u200b", "\ufeff", "true", "1", "a", "like", "in", "id", " "]  # fmt: skip
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(bits, k=rng.randrange(1, 9)))] = None
    return list(found)


@pytest.fixture(scope="module")
def nasty(milvus_uri: str, tiny_encoder: WeightsFolder) -> Iterator[tuple[MilvusClient, str, list[str]]]:
    """A collection with a row for each nasty text, which is its brand and its category, and its number its price."""
    client = MilvusClient(uri=milvus_uri, timeout=30)
    name = f"nasty_{uuid4().hex[:8]}"
    create_release_collection(client, sample_record(tiny_encoder.identity, "r-12345678"), name)
    texts = nasty_texts(600)
    rows = [
        {
            "id": f"p-{number}",
            "content_hash": "0" * 48,
            "dense": np.eye(1, tiny_encoder.identity.dimension)[0],
        }
        | StoredFields("货", text, text, number / 7, True).columns()
        for number, text in enumerate(texts)
    ]
    client.insert(name, rows, timeout=60)
    # A strong read waits for Milvus' next tick: this one is enough for all that follow.
    assert len(passing(client, name, 'id != ""')) == len(texts)
    yield client, name, texts
    client.drop_collection(name, timeout=30)


def passing(client: MilvusClient, name: str, condition: str, consistency: str = "Strong") -> set[str]:
    rows = client.query(
        name, filter=condition, output_fields=["id"], limit=1000, consistency_level=consistency
    )
    return {row["id"] for row in rows}


def test_every_text_in_a_condition_finds_its_own_row_and_no_other(
    nasty: tuple[MilvusClient, str, list[str]],
) -> None:
    client, name, texts = nasty
    for number, text in enumerate(texts):
        for condition in (stored_condition(brands=[text]), stored_condition(category=text)):
            try:
                found = passing(client, name, condition, "Eventually")
            except MILVUS_ERRORS as error:
                pytest.fail(f"{condition!r} is refused: {error}")
            assert found == {f"p-{number}"}, condition
    some = texts[::7]
    assert passing(client, name, stored_condition(brands=some)) == {
        f"p-{number}" for number in range(0, len(texts), 7)
    }


@pytest.mark.parametrize("bound", [0, 1e-9, 3 / 7, 41.0, 1e9, 1e22, 5e-324, 1.7976931348623157e308])
def test_every_bound_of_a_price_is_read_as_it_is_meant(
    nasty: tuple[MilvusClient, str, list[str]], bound: float
) -> None:
    client, name, texts = nasty
    prices = {f"p-{number}": number / 7 for number in range(len(texts))}
    assert passing(client, name, stored_condition(price_max=bound)) == {
        row for row, price in prices.items() if price <= bound
    }
    assert passing(client, name, stored_condition(price_min=bound)) == {
        row for row, price in prices.items() if price >= bound
    }


def test_what_has_no_price_passes_no_bound(nasty: tuple[MilvusClient, str, list[str]]) -> None:
    client, name, _ = nasty
    dimension = client.describe_collection(name)["fields"][1]["params"]["dim"]
    free = StoredFields("", "", "", -1.0, False).columns()
    row = {"id": "unpriced", "content_hash": "0" * 48, "dense": np.eye(1, dimension)[0]} | free
    client.upsert(name, [row], timeout=30)
    for asked in ({"price_max": 1e9}, {"price_min": 0}, {"in_stock": True}):
        assert "unpriced" not in passing(client, name, stored_condition(**asked))
    client.delete(name, filter='id == "unpriced"', timeout=30)
