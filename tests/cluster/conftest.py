"""The product on the cluster `test`, installed once a session; and one served index for tests that only look."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from demo.parts import RESOURCE
from tests.cluster.index_bed import (
    CATALOGUE_PREFIX,
    NAMESPACE,
    REFRESHED,
    REFRESHED_PRODUCTS,
    SERVED,
    SERVED_PRODUCTS,
    Bed,
    install,
    the_cluster,
)
from tests.testbed.stores import deploy, reachable


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """Operator, stores and namespace; what an earlier, broken run left behind is removed first."""
    cluster = the_cluster()
    inside = deploy(cluster, progress=print)
    install(cluster)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    cluster.ask("apply", "-f", "-", stdin=json.dumps(namespace))
    with reachable(cluster) as local:
        made = Bed(cluster, local, inside)
        _clear(made)
        yield made
        _clear(made)


def _clear(bed: Bed) -> None:
    bed.k("delete", RESOURCE, "--all", "--timeout=120s", timeout=130)
    with bed.elasticsearch() as client:
        for index in client.indices.get(index=f"{CATALOGUE_PREFIX}*"):
            client.indices.delete(index=index)


@pytest.fixture(scope="session")
def begun(bed: Bed) -> None:
    """The session's indexes are on their way, both at once: each spends most of its time waiting."""
    for name, products in ((SERVED, SERVED_PRODUCTS), (REFRESHED, REFRESHED_PRODUCTS)):
        bed.load_catalogue(name, products)
        bed.apply(bed.resource(name))


@pytest.fixture(scope="session")
def served(bed: Bed, begun: None) -> str:
    """Name of an index that is Ready; tests that use it leave it so."""
    bed.await_ready(SERVED)
    return SERVED


@pytest.fixture(scope="session")
def refreshed(bed: Bed, begun: None) -> str:
    """Name of an index that is Ready, whose catalogue may be changed."""
    bed.await_ready(REFRESHED)
    return REFRESHED


@pytest.fixture
def names(bed: Bed) -> Iterator[list[str]]:
    """Names of indexes that a test makes: deleted with their catalogues when it ends."""
    made: list[str] = []
    yield made
    for name in made:
        bed.remove(name)
