"""Both stores as processes of the tests, for integration tests that need no cluster."""

from tests.testbed.stores.local_elasticsearch import LocalElasticsearch
from tests.testbed.stores.local_milvus import LocalMilvus

__all__ = ["LocalElasticsearch", "LocalMilvus"]
