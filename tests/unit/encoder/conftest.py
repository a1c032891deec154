"""Fixtures of the encoder's unit tests."""

from tests.testbed.weights.fixtures import tiny_encoder

__all__ = ["tiny_encoder"]
