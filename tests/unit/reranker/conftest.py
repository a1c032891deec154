"""Fixtures of the re-ranker's unit tests."""

from tests.testbed.weights.fixtures import tiny_encoder, tiny_reranker

__all__ = ["tiny_encoder", "tiny_reranker"]
