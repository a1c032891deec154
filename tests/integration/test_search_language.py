"""The analyzer chain and what is learnt from a catalogue, on a real Elasticsearch."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from elasticsearch import Elasticsearch
from search_plane.gateway import lexicon as watching
from search_plane.gateway.lexicon import LexiconWatch
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import CATALOGUE_ERRORS, CatalogueConnection
from search_plane.understanding.lexicon import Lexicon
from search_plane.understanding.synonyms import Synonyms
from search_plane.understanding.understand import understand

from sample_catalogue import best_analyzer, generate, index_definition, load
from tests.testbed.stores.local import LocalElasticsearch

pytestmark = pytest.mark.stores

PRODUCTS = 3_000
SEED = 7


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def index(client: Elasticsearch) -> Iterator[str]:
    name = f"language-{uuid.uuid4().hex[:8]}"
    load(client, name, PRODUCTS, SEED)
    yield name
    client.indices.delete(index=name)


def tokens(client: Elasticsearch, index: str, analyzer: str, text: str) -> list[str]:
    answer = client.indices.analyze(index=index, analyzer=analyzer, text=text)
    return [token["token"] for token in answer["tokens"]]


def titles_of(client: Elasticsearch, index: str, query: dict[str, object]) -> list[str]:
    return [
        hit["_source"]["title"] for hit in client.search(index=index, query=query, size=50)["hits"]["hits"]
    ]


def test_the_servers_best_analyzer_is_found(client: Elasticsearch) -> None:
    assert best_analyzer(client) == "smartcn"


def test_titles_are_folded_and_cut_into_words(client: Elasticsearch, index: str) -> None:
    assert tokens(client, index, "chinese", "藍牙耳機　ＴＷＳ") == tokens(
        client, index, "chinese", "蓝牙耳机 tws"
    )
    assert {"蓝", "牙"} & set("".join(tokens(client, index, "chinese", "蓝牙耳机")))
    assert "耳机" in tokens(client, index, "chinese", "藍牙耳機")
    assert "," not in tokens(client, index, "chinese", "蓝牙，耳机")


def test_models_and_measures_stay_whole(client: Elasticsearch, index: str) -> None:
    assert tokens(client, index, "models", "小米Ｔｙｐｅ－Ｃ 20W WF-1000XM5 12GB+256GB iPhone 15") == [
        "type-c",
        "20w",
        "wf-1000xm5",
        "12gb+256gb",
        "iphone",
        "15",
    ]
    found = titles_of(client, index, {"match_phrase": {"title.models": "67W"}})
    assert found
    assert all("67W" in title or "６７Ｗ" in title for title in found)


def test_a_brand_is_found_however_it_is_typed_and_counted_as_it_is_written(
    client: Elasticsearch, index: str
) -> None:
    written = client.count(index=index, query={"term": {"brand": "澳優康"}})["count"]
    assert written > 0
    assert client.count(index=index, query={"term": {"brand.folded": "澳优康"}})["count"] == written
    assert client.count(index=index, query={"term": {"brand.folded": "ｂｏｓｅ"}})["count"] > 0
    answer = client.search(index=index, size=0, aggs={"brands": {"terms": {"field": "brand", "size": 500}}})
    names = {bucket["key"] for bucket in answer["aggregations"]["brands"]["buckets"]}
    assert {"澳優康", "Bose", "小米"} <= names


def learnt(url: str, index: str, catalogue_filter: str = "") -> Lexicon:
    """What a watch learns of an index at once."""

    async def learn() -> Lexicon:
        connection = CatalogueConnection(CatalogueTarget(url=url, index=index, filter=catalogue_filter))
        try:
            watch = LexiconWatch(connection)
            await watch.learn()
            return watch.lexicon
        finally:
            await connection.close()

    return asyncio.run(learn())


async def until(done: Callable[[], bool], what: str) -> None:
    """Waits for it, at most 30 s."""
    deadline = asyncio.get_running_loop().time() + 30
    while not done():
        assert asyncio.get_running_loop().time() < deadline, f"waited 30 s for {what}"
        await asyncio.sleep(0.05)


def test_the_lexicon_is_the_catalogues(elasticsearch_url: str, index: str) -> None:
    lexicon = learnt(elasticsearch_url, index)
    counted = Counter((product.brand, product.category) for product in generate(PRODUCTS, SEED))
    assert {
        (value, category): count
        for value, brand in lexicon.brands.items()
        for category, count in brand.categories.items()
    } == counted
    assert lexicon.titles == PRODUCTS
    charger = understand("小米手机充电器", lexicon, Synonyms())
    assert (charger.brands, charger.brand_certain) == (("小米",), True)
    assert understand("熬粥的小米", lexicon, Synonyms()).brands == ()
    assert understand("蓝芽耳机", lexicon, Synonyms()).text == "蓝牙耳机"


def test_what_the_filter_keeps_out_is_not_learnt(elasticsearch_url: str, index: str) -> None:
    lexicon = learnt(elasticsearch_url, index, "category:充电器")
    assert set(lexicon.categories) == {"充电器"}


def test_no_more_is_read_than_allowed(
    elasticsearch_url: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_PAIRS", 50)
    monkeypatch.setattr(watching, "MOST_TITLES", 100)
    monkeypatch.setattr(watching, "_PAGE", 20)
    lexicon = learnt(elasticsearch_url, index)
    assert sum(len(brand.categories) for brand in lexicon.brands.values()) == 60
    assert lexicon.titles == 100


def test_a_brand_that_is_a_text_is_counted_by_its_keyword(
    client: Elasticsearch, elasticsearch_url: str
) -> None:
    name = f"language-{uuid.uuid4().hex[:8]}"
    client.index(
        index=name, document={"title": "小米手机", "brand": "小米/Xiaomi", "category": ["手机"]}, refresh=True
    )
    try:
        lexicon = learnt(elasticsearch_url, name)
        assert lexicon.spellings["xiaomi"] == ("小米/Xiaomi",)
        assert lexicon.brands["小米/Xiaomi"].categories == {"手机": 1}
    finally:
        client.indices.delete(index=name)


def test_an_empty_catalogue_has_no_words(client: Elasticsearch, elasticsearch_url: str) -> None:
    name = f"language-{uuid.uuid4().hex[:8]}"
    client.indices.create(index=name, **index_definition("standard"))
    try:
        assert learnt(elasticsearch_url, name).brands == {}
    finally:
        client.indices.delete(index=name)


def test_the_last_words_stay_while_the_catalogue_is_away() -> None:
    """Killed and started again: nothing is forgotten meanwhile, and what is new is learnt afterwards."""
    with LocalElasticsearch() as server:
        asyncio.run(_outage(server))


async def _outage(server: LocalElasticsearch) -> None:
    with Elasticsearch(server.url, request_timeout=60) as client:
        load(client, "products", 300, SEED)
    connection = CatalogueConnection(CatalogueTarget(url=server.url, index="products"), timeout=5)
    watch = LexiconWatch(connection, every_seconds=0.2, timeout_seconds=5)
    running = asyncio.create_task(watch.run())
    try:
        await asyncio.wait_for(watch.learnt.wait(), 30)
        first = watch.lexicon
        await asyncio.to_thread(server.kill)
        await until(lambda: bool(watch.fault), "the watch to notice that the server is gone")
        assert watch.lexicon is first
        with pytest.raises(CATALOGUE_ERRORS):
            await watch.learn()
        await asyncio.to_thread(server.start)
        with Elasticsearch(server.url, request_timeout=60) as client:
            new = {"title": "新牌 手机", "brand": "新牌", "category": "手机"}
            client.index(index="products", id="new", document=new, refresh=True)
        await until(lambda: "新牌" in watch.lexicon.brands, "the new brand to be learnt")
        assert watch.fault == ""
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await connection.close()
