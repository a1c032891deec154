"""The Elasticsearch side: the index for products, loading it, and applying later changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from sample_catalogue.analyzers import chain, has_chain, text_field
from sample_catalogue.changes import BadDocument, Change
from sample_catalogue.generate import DEFAULT_COUNT, DEFAULT_SEED, generate
from sample_catalogue.product import Product

Progress = Callable[[int, int], None]
"""Told (documents done, documents in all) after each chunk."""

Action = dict[str, object]
"""One line of a bulk request, as elasticsearch.helpers takes it."""

_CHUNK = 1000
_KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": 256}


def index_definition(analyzer: str = "smartcn", shards: int = 1) -> dict[str, Any]:
    """Settings and mappings of a product index, for `indices.create(index=..., **index_definition())`.

    `analyzer` is "smartcn" or "ik" for the chain of `analyzers`, with `brand.folded` and `title.models`, or the name of
    an analyzer that the server has; "standard" always is one. Fields that aren't named stay in the source but aren't
    indexed; a malformed price, stock or date doesn't keep a document out.
    """
    settings: dict[str, Any] = {"number_of_shards": shards, "number_of_replicas": 0}
    text: dict[str, Any] = {"type": "text", "analyzer": analyzer}
    brand: dict[str, Any] = _KEYWORD
    if has_chain(analyzer):
        settings["analysis"] = chain(analyzer)
        text = text_field()
        # The field itself keeps the brand as it is written, for facets and exact filters.
        brand = _KEYWORD | {"fields": {"folded": _KEYWORD | {"normalizer": "folded"}}}
    return {
        "settings": settings,
        "mappings": {
            "dynamic": False,
            "properties": {
                "sku": _KEYWORD,
                "title": text,
                "brand": brand,
                "category": _KEYWORD,
                "category_path": _KEYWORD,
                "price": {"type": "double", "ignore_malformed": True},
                "stock": {"type": "integer", "ignore_malformed": True},
                "attributes": {"type": "object", "dynamic": False},
                "description": text,
                "updated_at": {"type": "date", "ignore_malformed": True},
                "on_sale": {"type": "boolean"},
            },
        },
    }


def load(
    es_client: Elasticsearch,
    index: str,
    count: int = DEFAULT_COUNT,
    seed: int = DEFAULT_SEED,
    progress: Progress | None = None,
    *,
    start: int = 0,
    analyzer: str = "smartcn",
    shards: int = 1,
) -> int:
    """Loads products into `index` and refreshes it; makes the index when it isn't there. Returns how many.

    Loading again writes the same documents under the same ids. Raises BulkIndexError for a refused document
    and the client's own errors when the server doesn't answer.
    """
    if not es_client.indices.exists(index=index):
        es_client.indices.create(index=index, **index_definition(analyzer, shards))
    return _bulk(es_client, index, map(_insertion, generate(count, seed, start)), progress, count)


def apply_changes(es_client: Elasticsearch, index: str, changes: Iterable[Change | BadDocument]) -> int:
    """Writes changes, or bad documents, to `index` and refreshes it; returns how many.

    Raises BulkIndexError for a document that the index refuses (see `BadDocument.accepted`).
    """
    return _bulk(es_client, index, map(_action, changes), None, 0)


def _insertion(product: Product) -> Action:
    return {"_id": product.sku, "_source": product.document()}


def _action(change: Change | BadDocument) -> Action:
    if isinstance(change, BadDocument):
        return {"_id": change.id, "_source": change.document}
    if change.document is None:
        return {"_op_type": "delete", "_id": change.sku}
    return {"_id": change.sku, "_source": change.document}


def _bulk(
    es_client: Elasticsearch,
    index: str,
    actions: Iterator[Action],
    progress: Progress | None,
    total: int,
) -> int:
    done = 0
    # a full queue answers 429: the helper waits and tries again
    for done, _ in enumerate(
        streaming_bulk(es_client, actions, index=index, chunk_size=_CHUNK, max_retries=5), 1
    ):
        if progress is not None and done % _CHUNK == 0:
            progress(done, total)
    if progress is not None and done % _CHUNK:
        progress(done, total)
    es_client.indices.refresh(index=index)
    return done
