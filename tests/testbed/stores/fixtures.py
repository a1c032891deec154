"""Session fixtures with the address of each store; the environment can name ones that run already."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.testbed.stores.local import LocalElasticsearch, LocalMilvus


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """URL of an Elasticsearch: ``TEST_ELASTICSEARCH_URL``, else one started for this session."""
    if given := os.environ.get("TEST_ELASTICSEARCH_URL"):
        yield given
        return
    with LocalElasticsearch() as server:
        yield server.url


@pytest.fixture(scope="session")
def milvus_uri() -> Iterator[str]:
    """URI of a Milvus: ``TEST_MILVUS_URI``, else one started for this session."""
    if given := os.environ.get("TEST_MILVUS_URI"):
        yield given
        return
    with LocalMilvus() as server:
        yield server.uri
