"""HPA and ScaledObject on a real API server: taken as rendered, without drift, and missed where KEDA is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from search_operator.api import SemanticSearchIndex
from search_operator.decide.capacity import Fleet
from search_operator.decide.drift import covers
from search_operator.kubernetes_api import API_SERVICE, SCALED_OBJECT, KubernetesApi, kind_named
from search_operator.observe.cache import Cache
from search_operator.observe.observation import ScalingView
from search_operator.observe.scaling import ScalingReader, look_at_scaled_objects
from search_operator.render.scaler import Scaler, scaler_kind, scaler_object

from tests.cluster.resource_base import at, changed, valid_index
from tests.testbed.apiserver import ApiServer
from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.commands import wait_until
from tests.testbed.crd_serving import await_served
from tests.testbed.keda import SCALED_OBJECTS, scaled_object_crd

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

T = TypeVar("T")
Object = dict[str, Any]
FLEET = "scaled-encoder-00000000"
PROMETHEUS = {"prometheusAddress": "http://prometheus.monitoring.svc:9090"}
SCALERS: tuple[tuple[Scaler, Object], ...] = (
    ("InflightTokens", {"mode": "auto", "targetInflightTokens": 2000}),
    ("CPU", {"mode": "hpa", "scaleDown": {"stabilizationWindow": "0s", "pods": 2, "period": "1s"}}),
    ("KEDA", {"mode": "keda"}),
    ("KEDA", {"mode": "keda", **PROMETHEUS}),
)
ADAPTER: Object = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1beta1.custom.metrics.k8s.io"},
    "spec": {
        "group": "custom.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": "monitoring", "name": "prometheus-adapter"},
        "insecureSkipTLSVerify": True,
    },
}


@pytest.fixture
def index(apiserver: ApiServer) -> Iterator[Object]:
    """An index that is stored, for what it owns needs its uid."""
    body = json.loads(
        apiserver.ask("create", "-f", "-", "-o", "json", stdin=json.dumps(valid_index("scaled")))
    )
    yield body
    apiserver.ask("delete", "ssi", "-n", "search", "scaled")


def asked(server: ApiServer, work: Callable[[KubernetesApi], Awaitable[T]]) -> T:
    """What `work` makes of the operator's own access to the API."""

    async def run() -> T:
        configuration = kubernetes_client.Configuration()
        await kubernetes_config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
        async with kubernetes_client.ApiClient(configuration) as client:
            return await work(KubernetesApi(client))

    return asyncio.run(run())


def scaled_by(body: Object, autoscaling: Object) -> SemanticSearchIndex:
    """The stored index with those fields of autoscaling."""
    return SemanticSearchIndex.parse(changed(body, at("spec.encoder.autoscaling", autoscaling)))


@contextmanager
def keda_served(server: ApiServer) -> Iterator[None]:
    """ScaledObject's real CRD is there; it goes again, so that other tests find a server without it."""
    server.ask("apply", "--server-side", "-f", str(scaled_object_crd()))
    await_served(server, SCALED_OBJECTS)
    # A CRD that comes back answers 429 until its store is made.
    wait_until(lambda: _listed(server), what="the API server to list ScaledObjects", timeout=30)
    try:
        yield
    finally:
        server.ask("delete", "crd", SCALED_OBJECTS, "--timeout=30s")


def _listed(server: ApiServer) -> bool:
    try:
        server.ask("get", SCALED_OBJECTS, "-A")
    except TestbedError:
        return False
    return True


@pytest.fixture
def keda(apiserver: ApiServer) -> Iterator[None]:
    """KEDA's CRD is served."""
    with keda_served(apiserver):
        yield


@pytest.mark.usefixtures("keda")
@pytest.mark.parametrize(("scaler", "autoscaling"), SCALERS)
def test_what_is_rendered_is_taken_and_does_not_drift(
    apiserver: ApiServer, index: Object, scaler: Scaler, autoscaling: Object
) -> None:
    """With all that the server's defaults fill in: else it would be applied for ever."""
    wish = scaler_object(scaled_by(index, autoscaling), FLEET, Fleet(2, 6), scaler)
    kind = kind_named(scaler_kind(scaler))

    async def work(api: KubernetesApi) -> None:
        try:
            made = await api.apply(wish)
            again = await api.apply(wish)
            assert made["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
            assert covers(again, wish)
        finally:
            await api.delete(kind, "search", FLEET, made["metadata"]["uid"])

    asked(apiserver, work)


def test_an_hpa_is_changed_from_tokens_to_cpu_and_back_in_place(apiserver: ApiServer, index: Object) -> None:
    wanted = scaled_by(index, {"mode": "auto"})

    async def work(api: KubernetesApi) -> list[list[str]]:
        found = []
        chosen: tuple[Scaler, ...] = ("InflightTokens", "CPU", "InflightTokens")
        for scaler in chosen:
            live = await api.apply(scaler_object(wanted, FLEET, Fleet(2, 6), scaler))
            found.append([metric["type"] for metric in live["spec"]["metrics"]])
        hpa = kind_named("HorizontalPodAutoscaler")
        await api.delete(hpa, "search", FLEET, live["metadata"]["uid"])
        return found

    # Never both, nor the API server's own 80 % CPU.
    assert asked(apiserver, work) == [["Pods"], ["Resource"], ["Pods"]]


def test_a_wrong_scaled_object_is_refused_by_kedas_own_schema(
    apiserver: ApiServer, index: Object, keda: None
) -> None:
    """So that being taken, above, means something."""
    wish = scaler_object(scaled_by(index, {"mode": "keda"}), FLEET, Fleet(2, 6), "KEDA")
    wrongs: tuple[Object, ...] = (
        {"fallback": {**wish["spec"]["fallback"], "behavior": "holdOn"}},
        {"minReplicaCount": 7},
        {"triggers": []},
    )
    for wrong in wrongs:

        async def work(api: KubernetesApi, wrong: Object = wrong) -> None:
            await api.apply({**wish, "spec": {**wish["spec"], **wrong}})

        with pytest.raises(DynamicApiError) as refused:
            asked(apiserver, work)
        assert refused.value.status == 422


def test_scaled_objects_are_seen_though_no_watch_tells_of_them(
    apiserver: ApiServer, index: Object, keda: None
) -> None:
    wanted, cache = scaled_by(index, {"mode": "keda"}), Cache()
    wish = scaler_object(wanted, FLEET, Fleet(2, 6), "KEDA")
    key = ("ScaledObject", FLEET)

    async def work(api: KubernetesApi) -> None:
        made = await api.apply(wish)
        assert set(await look_at_scaled_objects(api, cache, wanted)) == {key}
        assert set(cache.children(("search", "scaled"))) == {key}
        # What is there is looked at whatever the spec says by now.
        by_hpa = scaled_by(index, {"mode": "hpa"})
        assert set(await look_at_scaled_objects(api, cache, by_hpa)) == {key}
        await api.delete(SCALED_OBJECT, "search", FLEET, made["metadata"]["uid"])
        assert await look_at_scaled_objects(api, cache, wanted) == {}
        assert cache.children(("search", "scaled")) == {}

    asked(apiserver, work)


def test_what_there_is_to_scale_by_is_told_apart(apiserver: ApiServer, index: Object) -> None:
    wanted, cache = scaled_by(index, {"mode": "keda"}), Cache()

    async def seen(api: KubernetesApi) -> ScalingView:
        assert await look_at_scaled_objects(api, cache, wanted) == {}
        return await ScalingReader(api).look()

    assert asked(apiserver, seen) == ScalingView("Absent")
    with keda_served(apiserver):
        assert asked(apiserver, seen) == ScalingView("Absent", keda=True)


def test_an_adapter_that_does_not_answer_is_neither_absent_nor_asked_again_at_once(
    apiserver: ApiServer,
) -> None:
    async def work(api: KubernetesApi) -> None:
        reader = ScalingReader(api)
        made = await api.create(API_SERVICE, "", ADAPTER)
        try:
            first = await reader.look()
        finally:
            await api.delete(API_SERVICE, "", ADAPTER["metadata"]["name"], made["metadata"]["uid"])
        assert (first.metrics_api, first.knows_metric) == ("Unavailable", False)
        assert first.owner == "monitoring/prometheus-adapter"
        assert first.why
        # For all indexes and a minute; until somebody knows better.
        assert await reader.look() is first
        reader.forget()
        assert (await reader.look()).metrics_api == "Absent"

    asked(apiserver, work)
