"""Ingress and HTTPRoute on a real API server: taken as rendered, told apart from others', and missed where not served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from search_operator.api import SemanticSearchIndex
from search_operator.decide.drift import covers
from search_operator.kubernetes_api import HTTP_ROUTE, KubernetesApi, kind_named
from search_operator.observe.cache import Cache
from search_operator.observe.entry import look_at_entry
from search_operator.observe.observation import EntryView
from search_operator.render.child import MANAGED_BY, is_ours
from search_operator.render.entry import entry_name, entry_objects

from tests.cluster.resource_base import at, changed, valid_index
from tests.testbed.apiserver import ApiServer
from tests.testbed.crd_serving import await_served
from tests.testbed.gateway_api import HTTP_ROUTES, http_route_crd

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

T = TypeVar("T")
Object = dict[str, Any]
OURS = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
ENTRIES: dict[str, Object] = {
    "Ingress": {
        "ingress": {
            "host": "search.example.com",
            "className": "nginx",
            "tlsSecretName": "tls",
            "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
        }
    },
    "HTTPRoute": {
        "httpRoute": {
            "hostnames": ["search.example.com", "*.shop.example.com"],
            "parentRefs": [
                {"name": "front", "namespace": "gateways", "sectionName": "https"},
                {"name": "front", "namespace": "gateways", "sectionName": "http"},
            ],
        }
    },
}


@pytest.fixture
def index(apiserver: ApiServer) -> Iterator[Object]:
    """An index that is stored, for what it owns needs its uid."""
    body = json.loads(
        apiserver.ask("create", "-f", "-", "-o", "json", stdin=json.dumps(valid_index("entered")))
    )
    yield body
    apiserver.ask("delete", "ssi", "-n", "search", "entered")


def asked(server: ApiServer, work: Callable[[KubernetesApi], Awaitable[T]]) -> T:
    """What `work` makes of the operator's own access to the API."""

    async def run() -> T:
        configuration = kubernetes_client.Configuration()
        await kubernetes_config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
        async with kubernetes_client.ApiClient(configuration) as client:
            return await work(KubernetesApi(client))

    return asyncio.run(run())


def asking_for(body: Object, kind: str) -> SemanticSearchIndex:
    """The stored index with an entry of that kind."""
    return SemanticSearchIndex.parse(changed(body, at("spec.search.entry", ENTRIES[kind])))


@contextmanager
def routes_served(server: ApiServer) -> Iterator[None]:
    """HTTPRoute's real CRD is there; it goes again, so that other tests find a server without it."""
    server.ask("apply", "--server-side", "-f", str(http_route_crd()))
    await_served(server, HTTP_ROUTES)
    try:
        yield
    finally:
        server.ask("delete", "crd", HTTP_ROUTES, "--timeout=30s")


@contextmanager
def served(server: ApiServer, kind: str) -> Iterator[None]:
    if kind == "Ingress":
        yield
        return
    with routes_served(server):
        yield


@pytest.mark.parametrize("kind", ENTRIES)
def test_what_is_rendered_is_taken_and_does_not_drift(apiserver: ApiServer, index: Object, kind: str) -> None:
    """With all that the server's defaults fill in: else it would be applied for ever."""
    wanted, cache = asking_for(index, kind), Cache()
    (wish,) = entry_objects(wanted)

    async def work(api: KubernetesApi) -> None:
        assert await look_at_entry(api, cache, wanted) == EntryView()
        await api.apply(wish)
        again = await api.apply(wish)
        live = (await look_at_entry(api, cache, wanted)).live
        assert live is not None
        assert live["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
        assert covers(live, wish)
        assert is_ours(live, wanted)
        assert (kind, entry_name("entered")) in cache.children(("search", "entered"))
        (listed,) = await api.list(kind_named(kind), label_selector=OURS, namespace="search")
        assert listed["metadata"]["uid"] == live["metadata"]["uid"]
        await api.delete(kind_named(kind), "search", entry_name("entered"), live["metadata"]["uid"])
        if kind == "HTTPRoute":
            # Nothing watches routes: looking is what forgets one that has gone.
            assert (await look_at_entry(api, cache, wanted)).live is None
            assert not cache.children((wanted.namespace, wanted.name))

    with served(apiserver, kind):
        asked(apiserver, work)


@pytest.mark.parametrize("kind", ENTRIES)
def test_somebody_else_s_is_seen_though_no_watch_tells_of_it(
    apiserver: ApiServer, index: Object, kind: str
) -> None:
    wanted, cache = asking_for(index, kind), Cache()
    (wish,) = entry_objects(wanted)
    foreign = {**wish, "metadata": {"name": wish["metadata"]["name"], "namespace": "search"}}

    async def work(api: KubernetesApi) -> None:
        made = await api.create(kind_named(kind), "search", foreign)
        try:
            seen = await look_at_entry(api, cache, wanted)
            assert seen.live is not None
            assert not is_ours(seen.live, wanted)
            assert cache.children(("search", "entered")) == {}
        finally:
            uid = made["metadata"]["uid"]
            await api.delete(kind_named(kind), "search", wish["metadata"]["name"], uid)

    with served(apiserver, kind):
        asked(apiserver, work)


def test_a_server_without_routes_is_told_from_one_with_them(apiserver: ApiServer, index: Object) -> None:
    wanted = asking_for(index, "HTTPRoute")

    async def seen(api: KubernetesApi) -> tuple[bool, EntryView]:
        return await api.serves(HTTP_ROUTE), await look_at_entry(api, Cache(), wanted)

    known, view = asked(apiserver, seen)
    assert not known
    assert view.problem is not None
    assert view.problem.reason == "NotServed"
    with routes_served(apiserver):
        assert asked(apiserver, seen) == (True, EntryView())


def test_of_an_index_without_entry_nothing_is_asked(index: Object) -> None:
    class Silent:
        """An API that must not be asked."""

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked")

    plain = SemanticSearchIndex.parse(index)
    assert asyncio.run(look_at_entry(Silent(), Cache(), plain)) == EntryView()  # type: ignore[arg-type]
