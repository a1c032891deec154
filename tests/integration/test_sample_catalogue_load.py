"""Loading and changing a real index."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from elasticsearch import Elasticsearch
from elasticsearch.helpers import BulkIndexError

from sample_catalogue import apply_changes, bad_documents, generate, load, mutate
from sample_catalogue.__main__ import main

pytestmark = pytest.mark.stores


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        yield client


@pytest.fixture
def index(client: Elasticsearch) -> Iterator[str]:
    name = f"catalogue-{uuid.uuid4().hex[:12]}"
    yield name
    client.indices.delete(index=name, ignore_unavailable=True)


def test_a_load_is_whole_searchable_repeatable_and_tells_its_progress(
    client: Elasticsearch, index: str
) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        assert load(client, index, 1500, 7, lambda done, total: told.append((done, total))) == 1500
    assert told == [(1000, 1500), (1500, 1500)] * 2
    assert client.count(index=index)["count"] == 1500
    product = next(generate(1, 7, 1234))
    assert client.get(index=index, id=product.sku)["_source"] == product.document()
    millet = client.search(index=index, query={"match": {"title": "沁州黄小米"}}, size=1)["hits"]["hits"]
    assert millet[0]["_source"]["category"] == "小米"
    maker = client.count(index=index, query={"term": {"brand": "小米"}})["count"]
    assert maker == sum(product.brand == "小米" for product in generate(1500, 7))


def test_changes_arrive(client: Elasticsearch, index: str) -> None:
    load(client, index, 200)
    changes = list(mutate(7, 200, at=datetime.now(UTC), repriced=5, retitled=5, deleted=7, added=3))
    assert apply_changes(client, index, changes) == 20
    assert client.count(index=index)["count"] == 196
    for change in changes:
        if change.document is None:
            assert not client.exists(index=index, id=change.sku)
        else:
            assert client.get(index=index, id=change.sku)["_source"] == change.document


def test_the_index_takes_just_the_bad_documents_that_say_so(client: Elasticsearch, index: str) -> None:
    load(client, index, 0)
    taken = set()
    for bad in bad_documents(7):
        try:
            taken.add((bad.kind, apply_changes(client, index, [bad]) == 1))
        except BulkIndexError:
            taken.add((bad.kind, False))
    assert taken == {(bad.kind, bad.accepted) for bad in bad_documents(7)}


def test_the_command_loads(client: Elasticsearch, index: str, elasticsearch_url: str) -> None:
    arguments = [
        "--count",
        "50",
        "--elasticsearch",
        elasticsearch_url,
        "--index",
        index,
        "--analyzer",
        "standard",
    ]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert client.count(index=index)["count"] == 50
