"""The stores of the tests are the real servers: each call that the product makes works on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from pymilvus import DataType, MilvusClient, MilvusException

pytestmark = pytest.mark.stores

ROWS, DIMENSION = 3000, 512
SETTINGS = {
    "number_of_shards": 1,
    "number_of_replicas": 0,
    "analysis": {
        "filter": {"words": {"type": "synonym_graph", "synonyms": ["便宜, 实惠"]}},
        "analyzer": {
            "chinese": {
                "type": "custom",
                "tokenizer": "smartcn_tokenizer",
                "filter": ["lowercase", "cjk_width"],
            },
            "asked": {
                "type": "custom",
                "tokenizer": "smartcn_tokenizer",
                "filter": ["lowercase", "cjk_width", "words"],
            },
        },
    },
}
TITLES = {
    "p1": "小米蓝牙耳机 Air2 实惠装",
    "p2": "有机小米 五谷杂粮",
    "p3": "三只松鼠坚果礼盒",
    "p4": "ｉＰｈｏｎｅ 手机壳",
}


@pytest.fixture(scope="module")
def milvus(milvus_uri: str) -> Iterator[MilvusClient]:
    client = MilvusClient(milvus_uri)
    yield client
    client.close()


@pytest.fixture(scope="module")
def collection(milvus: MilvusClient) -> Iterator[str]:
    """A loaded collection as the operator makes it, with random unit vectors of ids 0..2999."""
    name = f"products_{uuid.uuid4().hex[:8]}"
    schema = milvus.create_schema(description='{"release": "r-1"}')
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=128)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("content_hash", DataType.VARCHAR, max_length=64)
    index = milvus.prepare_index_params()
    index.add_index("dense", index_type="HNSW", metric_type="COSINE", params={"M": 64, "efConstruction": 200})
    milvus.create_collection(name, schema=schema, index_params=index, num_shards=4)
    vectors = unit_vectors(ROWS)
    for first in range(0, ROWS, 500):
        milvus.upsert(name, [row(number, vectors[number]) for number in range(first, first + 500)])
    yield name
    milvus.drop_collection(name)


def unit_vectors(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Shape (count, 512), float32, each of length one; the same each time."""
    drawn = np.random.default_rng(7).standard_normal((count, DIMENSION)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


def row(number: int, vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> dict[str, object]:
    return {"id": f"p{number}", "dense": vector, "content_hash": f"h{number}"}


def count(milvus: MilvusClient, name: str) -> int:
    answer = milvus.query(name, output_fields=["count(*)"], consistency_level="Strong", timeout=30)
    return int(answer[0]["count(*)"])


def test_milvus_counts_what_was_just_written_and_upserts_in_place(
    milvus: MilvusClient, collection: str
) -> None:
    assert count(milvus, collection) == ROWS
    changed = row(5, unit_vectors(6)[5]) | {"content_hash": "new"}
    milvus.upsert(collection, [changed])
    found = milvus.query(
        collection,
        filter='id in ["p5", "p6", "none"]',
        output_fields=["content_hash"],
        consistency_level="Strong",
    )
    assert {hit["id"]: hit["content_hash"] for hit in found} == {"p5": "new", "p6": "h6"}
    assert count(milvus, collection) == ROWS


def test_milvus_iterates_over_every_id_once(milvus: MilvusClient, collection: str) -> None:
    iterator = milvus.query_iterator(
        collection, batch_size=700, output_fields=["id"], consistency_level="Strong"
    )
    seen: list[str] = []
    while batch := iterator.next():
        seen += [hit["id"] for hit in batch]
    iterator.close()
    assert sorted(seen) == sorted(f"p{number}" for number in range(ROWS))


def test_milvus_finds_a_vector_by_itself_also_after_a_flush(milvus: MilvusClient, collection: str) -> None:
    asked = unit_vectors(ROWS)[[3, 1234, 2999]]
    for _ in range(2):
        found = milvus.search(
            collection,
            data=asked,
            limit=10,
            search_params={"metric_type": "COSINE", "params": {"ef": 128}},
            consistency_level="Strong",
        )
        assert [hits[0]["id"] for hits in found] == ["p3", "p1234", "p2999"]
        assert [hits[0]["distance"] for hits in found] == pytest.approx([1.0] * 3, abs=1e-4)
        milvus.flush(collection)


def test_milvus_refuses_more_replicas_than_nodes(milvus: MilvusClient) -> None:
    name = f"wide_{uuid.uuid4().hex[:8]}"
    milvus.create_collection(name, dimension=8, auto_id=False)
    milvus.release_collection(name)
    try:
        with pytest.raises(MilvusException, match=r"nodes not enough|unrecoverable"):
            milvus.load_collection(name, replica_number=2, timeout=20)
    finally:
        milvus.drop_collection(name)


def test_milvus_switches_an_alias(milvus: MilvusClient, collection: str) -> None:
    other, alias = f"other_{uuid.uuid4().hex[:8]}", f"alias_{uuid.uuid4().hex[:8]}"
    milvus.create_collection(other, dimension=8, auto_id=False)
    milvus.create_alias(collection, alias)
    try:
        assert milvus.describe_collection(alias)["collection_name"] == collection
        milvus.alter_alias(other, alias)
        assert milvus.describe_collection(alias)["collection_name"] == other
    finally:
        milvus.drop_alias(alias)
        milvus.drop_collection(other)


@pytest.fixture(scope="module")
def elasticsearch(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def index(elasticsearch: Elasticsearch) -> Iterator[str]:
    """An index with the four titles, and 300 documents of one word."""
    name = f"products-{uuid.uuid4().hex[:8]}"
    title = {"type": "text", "analyzer": "chinese", "search_analyzer": "asked"}
    mappings = {"properties": {"title": title, "kind": {"type": "keyword"}}}
    elasticsearch.indices.create(index=name, settings=SETTINGS, mappings=mappings)
    documents = [{"_id": id_, "title": text, "kind": "named"} for id_, text in TITLES.items()]
    documents += [{"_id": f"x{number:03}", "title": "充电器", "kind": "many"} for number in range(300)]
    written, _ = helpers.bulk(elasticsearch, documents, index=name, refresh="wait_for")
    assert written == 304
    yield name
    elasticsearch.indices.delete(index=name)


def matched(elasticsearch: Elasticsearch, index: str, query: dict[str, object]) -> list[str]:
    return [hit["_id"] for hit in elasticsearch.search(index=index, query=query)["hits"]["hits"]]


def test_elasticsearch_says_which_version_it_is(elasticsearch: Elasticsearch) -> None:
    assert elasticsearch.info()["version"]["number"].startswith("8.19.")


def test_elasticsearch_cuts_chinese_into_words(elasticsearch: Elasticsearch, index: str) -> None:
    tokens = elasticsearch.indices.analyze(index=index, analyzer="chinese", text="三只松鼠坚果礼盒")["tokens"]
    assert "坚果" in [token["token"] for token in tokens]
    assert matched(elasticsearch, index, {"match": {"title": "蓝牙"}}) == ["p1"]


def test_elasticsearch_knows_synonyms_and_full_width_letters(
    elasticsearch: Elasticsearch, index: str
) -> None:
    assert matched(elasticsearch, index, {"match": {"title": "便宜"}}) == ["p1"]
    assert matched(elasticsearch, index, {"match": {"title": "iPhone"}}) == ["p4"]


def test_elasticsearch_scans_a_point_in_time_while_documents_change(
    elasticsearch: Elasticsearch, index: str
) -> None:
    point = elasticsearch.open_point_in_time(index=index, keep_alive="1m")["id"]
    elasticsearch.index(index=index, id="later", document={"title": "充电器", "kind": "many"}, refresh=True)
    seen: list[str] = []
    after: list[object] | None = None
    while hits := elasticsearch.search(
        pit={"id": point, "keep_alive": "1m"},
        size=70,
        query={"term": {"kind": "many"}},
        sort=[{"_shard_doc": "asc"}],
        search_after=after,
        track_total_hits=False,
    )["hits"]["hits"]:
        seen += [hit["_id"] for hit in hits]
        after = hits[-1]["sort"]
    elasticsearch.close_point_in_time(id=point)
    elasticsearch.delete(index=index, id="later", refresh=True)
    assert sorted(seen) == [f"x{number:03}" for number in range(300)]


def test_elasticsearch_gets_many_and_says_what_is_gone(elasticsearch: Elasticsearch, index: str) -> None:
    found = elasticsearch.mget(index=index, ids=["p3", "gone", "p1"])["docs"]
    assert [(doc["_id"], doc["found"]) for doc in found] == [("p3", True), ("gone", False), ("p1", True)]
