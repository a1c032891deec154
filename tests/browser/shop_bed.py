"""A small shop on real stores, with a product that a villain wrote, and a real encoder and gateway before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from elasticsearch import Elasticsearch
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import connect_blocking

from sample_catalogue import index_definition, load
from tests.integration.gateway_bed import GatewayProcess, Release, drop_release, fill_release
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.folder import WeightsFolder

SEED = 7
VILLAIN_ID = "SKU-VILLAIN"
VILLAIN_TITLE = "<img src=x onerror=alert(1)><script>alert(2)</script> 蓝牙耳机 <b>特价</b> &lt;i&gt;"


@dataclass(frozen=True)
class ShopBed:
    """The catalogue, its release, the encoder, and the gateway that serves it."""

    elasticsearch: Elasticsearch
    index: str
    release: Release
    encoder: EncoderServer
    gateway: GatewayProcess


@contextmanager
def shop_bed(
    weights: WeightsFolder,
    elasticsearch_url: str,
    milvus_uri: str,
    home: Path,
    products: int,
    settings: Mapping[str, object],
    *,
    villain: bool = True,
) -> Iterator[ShopBed]:
    """Fills a catalogue and a release of it, and serves it until the end. `settings` are the gateway's."""
    index = f"page-{uuid4().hex[:8]}"
    elasticsearch = connect_blocking(CatalogueTarget(url=elasticsearch_url, index=index), timeout=60)
    elasticsearch.indices.create(index=index, **index_definition())
    load(elasticsearch, index, products, SEED)
    if villain:
        document = {
            "sku": VILLAIN_ID,
            "title": VILLAIN_TITLE,
            "brand": "<u>黑店</u>",
            "category": "蓝牙耳机",
            "price": 1.0,
            "stock": 3,
        }
        elasticsearch.index(index=index, id=VILLAIN_ID, document=document, refresh=True)
    for name in ("encoder", "gateway"):
        (home / name).mkdir()
    with (
        EncoderServer(weights, home / "encoder") as encoder,
        GatewayProcess(home / "gateway", **settings) as gateway,
    ):
        release = fill_release(encoder, elasticsearch, index, elasticsearch_url, milvus_uri)
        gateway.serve(release.snapshot)
        yield ShopBed(elasticsearch, index, release, encoder, gateway)
        drop_release(release)
    elasticsearch.indices.delete(index=index)
    elasticsearch.close()
