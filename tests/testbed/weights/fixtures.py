"""Fixtures of encoder artefacts; a test folder's conftest.py imports what it needs."""

import pytest

from tests.testbed.weights.bge import bge_weights, older_bge_weights
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact
from tests.testbed.weights.tiny_reranker import TinyReranker, write_tiny_reranker

__all__ = ["bge_artefact", "older_bge_artefact", "tiny_encoder", "tiny_reranker"]


@pytest.fixture(scope="session")
def bge_artefact() -> WeightsFolder:
    """The real bge-small-zh-v1.5 artefact, fetched on first use. Tests that use it are marked `weights`."""
    return bge_weights()


@pytest.fixture(scope="session")
def older_bge_artefact() -> WeightsFolder:
    """The real bge-small-zh artefact: as many components, another space. Tests that use it are marked `weights`."""
    return older_bge_weights()


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> WeightsFolder:
    """An artefact of random weights, for what does not depend on meaning."""
    folder = tmp_path_factory.mktemp("tiny-artefact")
    return WeightsFolder(folder, tiny_artefact(folder))


@pytest.fixture(scope="session")
def tiny_reranker(tmp_path_factory: pytest.TempPathFactory) -> TinyReranker:
    """A cross-encoder of random weights: no package ships a real one."""
    return write_tiny_reranker(tmp_path_factory.mktemp("tiny-reranker"))
