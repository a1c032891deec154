"""Fixtures for tests against a bare API server that knows our CRD."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.parts import RESOURCE
from tests.testbed.apiserver import ApiServer, api_server
from tests.testbed.crd_serving import await_served

CRD_FILE = Path(__file__).resolve().parents[2] / "crds" / "semanticsearchindexes.yaml"


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ApiServer]:
    """A running API server with the CRD, and the namespace `search`."""
    with api_server() as server:
        server.ask("apply", "-f", str(CRD_FILE))
        await_served(server, RESOURCE)
        server.ask("create", "namespace", "search")
        yield server


@pytest.fixture(scope="session")
def apiserver_kubeconfig(apiserver: ApiServer) -> Path:
    """The kubeconfig of that server."""
    return apiserver.kubeconfig
