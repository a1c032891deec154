"""Click rows and product texts from a real Elasticsearch: the same pairs as from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from search_plane.finetuning.click_index import index_rows
from search_plane.finetuning.command import parser
from search_plane.finetuning.inputs import Inputs, read_inputs
from search_plane.finetuning.rows import Refused, Row, Skipped
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import connect_blocking

from sample_catalogue import click_log, generate, load

pytestmark = pytest.mark.stores

PRODUCTS = 1200
QUERIES = 800


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with connect_blocking(CatalogueTarget(url=elasticsearch_url, index=""), timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def names(client: Elasticsearch) -> Iterator[tuple[str, str]]:
    """An index of clicks, with one bad row and one of another day, and one of products."""
    clicks, products = (f"{kind}-{uuid4().hex[:8]}" for kind in ("clicks", "products"))
    client.indices.create(
        index=clicks,
        mappings={"dynamic": False, "properties": {"day": {"type": "date"}}},
        settings={"number_of_shards": 2},
    )
    rows = [{**row, "day": "2026-11-01"} for row in click_log(generate(PRODUCTS), QUERIES)]
    others = [
        {"_id": "bad", "_source": {"product_id": "SP1", "day": "2026-11-01"}},
        {"_id": "old", "_source": {**rows[0], "query": "去年的问题", "day": "2025-11-01"}},
    ]
    bulk(client, [*({"_source": row} for row in rows), *others], index=clicks, refresh=True)
    load(client, products, PRODUCTS, analyzer="standard")
    yield clicks, products
    client.indices.delete(index=[clicks, products])


def read(*arguments: str) -> Inputs:
    fixed = ["--model", "m", "--from", ".", "--revision", "1", "--source", "a test", "--out", "out"]
    return read_inputs(parser().parse_args([*fixed, *arguments]))


def test_an_index_gives_the_pairs_that_files_give(
    elasticsearch_url: str, names: tuple[str, str], tmp_path: Path
) -> None:
    clicks, products = names
    stored = read(
        "--elasticsearch", elasticsearch_url, "--clicks-index", clicks, "--catalogue-index", products,
        "--clicks-filter", "day:[2026-01-01 TO *]",
    )  # fmt: skip
    for name, lines in (
        ("clicks.jsonl", click_log(generate(PRODUCTS), QUERIES)),
        ("products.jsonl", (product.document() for product in generate(PRODUCTS))),
    ):
        (tmp_path / name).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    filed = read("--pairs", str(tmp_path / "clicks.jsonl"), "--products", str(tmp_path / "products.jsonl"))
    # Elasticsearch has an order of its own, so which negatives a pair keeps may differ.
    assert {(pair.query, pair.product) for pair in stored.pairs.pairs} == {
        (pair.query, pair.product) for pair in filed.pairs.pairs
    }
    # More than a page of clicks, and more products than are fetched at once.
    assert stored.pairs.rows == filed.pairs.rows + 1 > 1000
    assert [str(row) for row in stored.skipped if row.reason == "malformed"] == [
        f"{clicks}/bad: malformed: query: Field required"
    ]
    assert not [row for row in filed.skipped if row.reason != "repeated"]


def test_without_a_filter_every_document_is_a_row(elasticsearch_url: str, names: tuple[str, str]) -> None:
    rows = index_rows(CatalogueTarget(url=elasticsearch_url, index=names[0]))
    assert "去年的问题" in {row.click.query for row in rows if isinstance(row, Row)}
    assert len([row for row in rows if isinstance(row, Skipped)]) == 1


def test_an_index_that_is_not_there_is_refused_in_one_line(elasticsearch_url: str) -> None:
    with pytest.raises(Refused, match="clicks-of-nobody: index clicks-of-nobody does not exist"):
        read("--elasticsearch", elasticsearch_url, "--clicks-index", "clicks-of-nobody")
