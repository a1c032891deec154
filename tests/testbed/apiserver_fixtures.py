"""Fixtures for tests against a bare API server that knows our CRD."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.apiserver import ApiServer, api_server
from tests.testbed.cluster.commands import wait_until

CRD_FILE = Path(__file__).resolve().parents[2] / "crds" / "semanticsearchindexes.yaml"


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ApiServer]:
    """A running API server with the CRD, and the namespace `search`."""
    with api_server() as server:
        server.ask("apply", "-f", str(CRD_FILE))
        # Not `kubectl wait`: it fails on a CRD whose status is still empty.
        conditions = "jsonpath={.status.conditions[?(@.type=='Established')].status}"
        wait_until(
            lambda: server.ask("get", "-f", str(CRD_FILE), "-o", conditions) == "True",
            what="the API server to serve the CRD",
            timeout=30,
        )
        server.ask("create", "namespace", "search")
        yield server


@pytest.fixture(scope="session")
def apiserver_kubeconfig(apiserver: ApiServer) -> Path:
    """The kubeconfig of that server."""
    return apiserver.kubeconfig
