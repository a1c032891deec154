"""Fixtures of the integration tests: real stores, artefacts of encoders."""

from tests.testbed.stores.fixtures import elasticsearch_url, milvus_uri
from tests.testbed.weights.fixtures import bge_artefact, older_bge_artefact, tiny_encoder, tiny_reranker

__all__ = [
    "bge_artefact",
    "elasticsearch_url",
    "milvus_uri",
    "older_bge_artefact",
    "tiny_encoder",
    "tiny_reranker",
]
