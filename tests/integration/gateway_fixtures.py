"""Fixtures of the gateway's tests: a catalogue, two encoders of one dimension, a release of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import connect_blocking

from sample_catalogue import index_definition, load
from tests.integration.gateway_bed import Release, drop_release, fill_release
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact

PRODUCTS = 500
_SEED = 7
_OTHER_WEIGHTS = 99


@dataclass(frozen=True)
class Shop:
    """The catalogue, and `blue` and `green`: two releases of it by different encoders of the same dimension."""

    elasticsearch: Elasticsearch
    index: str
    blue: Release
    green: Release
    blue_encoder: EncoderServer
    green_encoder: EncoderServer


@pytest.fixture(scope="module")
def shop(
    milvus_uri: str,
    elasticsearch_url: str,
    tiny_encoder: WeightsFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """Two filled releases of one catalogue."""
    index = f"gateway-{uuid4().hex[:8]}"
    elasticsearch = connect_blocking(CatalogueTarget(url=elasticsearch_url, index=index), timeout=60)
    elasticsearch.indices.create(index=index, **index_definition("standard"))
    load(elasticsearch, index, PRODUCTS, _SEED, analyzer="standard")
    folder = tmp_path_factory.mktemp("other-weights")
    other = WeightsFolder(folder, tiny_artefact(folder, seed=_OTHER_WEIGHTS))
    with (
        EncoderServer(tiny_encoder, tmp_path_factory.mktemp("blue")) as blue_encoder,
        EncoderServer(other, tmp_path_factory.mktemp("green")) as green_encoder,
    ):
        releases = [
            fill_release(encoder, elasticsearch, index, elasticsearch_url, milvus_uri)
            for encoder in (blue_encoder, green_encoder)
        ]
        yield Shop(elasticsearch, index, releases[0], releases[1], blue_encoder, green_encoder)
        for release in releases:
            drop_release(release)
    elasticsearch.indices.delete(index=index)
    elasticsearch.close()
