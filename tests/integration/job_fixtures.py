"""Fixtures of the jobs' tests: an encoder process, and shops: a catalogue and an empty release of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pytest
from elasticsearch import Elasticsearch
from pymilvus import MilvusClient
from search_plane.jobs.rendering import Rendered, Renderer
from search_plane.release.identity import EncoderIdentity
from search_plane.release.record import ROWS_WITH_FIELDS, CatalogueTarget, MilvusTarget, ReleaseSnapshot
from search_plane.stores.catalogue import connect_blocking

from sample_catalogue import index_definition, load
from tests.testbed.plane import EncoderServer, JobProcess, create_release_collection, sample_record
from tests.testbed.weights.folder import WeightsFolder

PRODUCTS = 2000
# What a row that no job wrote holds of its product.
NO_PRODUCT = {"title": "", "brand": "", "category": "", "price": -1.0, "in_stock": False}
SEED = 7


@dataclass
class Shop:
    """A catalogue and an empty release of it."""

    elasticsearch: Elasticsearch
    milvus: MilvusClient
    release: ReleaseSnapshot
    encoder: EncoderServer
    home: Path
    collections: list[str] = field(default_factory=list)

    @property
    def index(self) -> str:
        return self.release.catalogue.index

    def job(self, kind: str = "catchup", **settings: object) -> JobProcess:
        return JobProcess(self.release, self.home, kind, settings)

    def held(self) -> dict[str, str]:
        """Content hash by id of every row, read without the job's own code: the first 32 digits of its hash."""
        return {row["id"]: row["content_hash"][:32] for row in self._rows("content_hash")}

    def vectors(self) -> dict[str, npt.NDArray[np.float32]]:
        """Vector by id of every row."""
        return {row["id"]: np.asarray(row["dense"], dtype=np.float32) for row in self._rows("dense")}

    def stored(self) -> dict[str, tuple[object, ...]]:
        """Title, brand, category, price and whether in stock, by id of every row."""
        fields = ("title", "brand", "category", "price", "in_stock")
        return {row["id"]: tuple(row[field] for field in fields) for row in self._rows(*fields)}

    def sold(self) -> dict[str, tuple[object, ...]]:
        """The same as the catalogue has it now, of documents without a fault."""
        answer = self.elasticsearch.search(index=self.index, size=10_000)
        return {
            hit["_id"]: (
                *(hit["_source"][field] for field in ("title", "brand", "category", "price")),
                hit["_source"]["stock"] > 0,
            )
            for hit in answer["hits"]["hits"]
        }

    def _rows(self, *fields: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.milvus.query(
            self.release.milvus.collection,
            filter='id != ""',
            output_fields=["id", *fields],
            limit=16000,
            consistency_level="Strong",
            timeout=60,
        )
        return found

    def beside(
        self, *reuse: str, identity: EncoderIdentity | None = None, row_schema: int = ROWS_WITH_FIELDS
    ) -> Shop:
        """Another, empty release of the same catalogue, which may copy from the collections named."""
        name = f"{self.release.milvus.collection}_{uuid4().hex[:4]}"
        record = sample_record(
            identity or self.release.encoder, "r-abcdef01", shards=1, row_schema=row_schema
        )
        create_release_collection(self.milvus, record, name)
        self.collections.append(name)
        milvus = self.release.milvus.model_copy(update={"collection": name})
        release = self.release.model_copy(
            update={"release": record.release, "milvus": milvus, "reuse": reuse}
        )
        return replace(self, release=release, home=self.home / name)

    def wanted(self) -> dict[str, str]:
        """Content hash by id of every document that can be indexed, rendered here."""
        renderer = Renderer(self.release.encoder.text_template, self.release.catalogue.fields.id)
        answer = self.elasticsearch.search(index=self.index, size=10_000)
        rendered = [renderer.render(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]
        return {row.id: row.content_hash for row in rendered if isinstance(row, Rendered)}


@pytest.fixture(scope="module")
def encoder(tiny_encoder: WeightsFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncoderServer]:
    with EncoderServer(tiny_encoder, tmp_path_factory.mktemp("encoder")) as server:
        yield server


MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(
    milvus_uri: str, elasticsearch_url: str, encoder: EncoderServer, tmp_path: Path
) -> Iterator[MakeShop]:
    shops: list[Shop] = []

    def make(
        products: int = PRODUCTS,
        server: EncoderServer | None = None,
        filter_: str = "",
        identity: EncoderIdentity | None = None,
        row_schema: int = ROWS_WITH_FIELDS,
    ) -> Shop:
        serving = server or encoder
        identity = identity or serving.identity
        name = f"job_{uuid4().hex[:8]}"
        catalogue = CatalogueTarget(url=elasticsearch_url, index=name.replace("_", "-"), filter=filter_)
        elasticsearch = connect_blocking(catalogue, timeout=60)
        elasticsearch.indices.create(index=catalogue.index, **index_definition("standard"))
        if products:
            load(elasticsearch, catalogue.index, products, SEED, analyzer="standard")
        milvus = MilvusClient(uri=milvus_uri, timeout=30)
        record = sample_record(identity, "r-12345678", row_schema=row_schema)
        create_release_collection(milvus, record, name)
        release = ReleaseSnapshot(
            namespace="test",
            index="products",
            release="r-12345678",
            fingerprint=identity.fingerprint(),
            encoder=identity,
            encoder_url=serving.url,
            milvus=MilvusTarget(uri=milvus_uri, collection=name),
            catalogue=catalogue,
        )
        shop = Shop(elasticsearch, milvus, release, serving, tmp_path, [name])
        shops.append(shop)
        return shop

    yield make
    for shop in shops:
        for collection in shop.collections:
            shop.milvus.drop_collection(collection, timeout=30)
        # A test may have pointed the shop's release elsewhere; its first collection bears the index's name.
        shop.elasticsearch.indices.delete(index=shop.collections[0].replace("_", "-"))
        shop.elasticsearch.close()
