"""The ledger on a real API server: written on top of what was read, by one leader only, and never somebody else's."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from search_operator.act.execute import Actor
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.steps import KeepLedger, Outcome, Plan
from search_operator.kubernetes_api import CONFIG_MAP, KubernetesApi
from search_operator.milvus_api import MilvusPool
from search_operator.money.ledger import Ledger, opened
from search_operator.observe.cache import Cache
from search_operator.observe.credentials import StoreCredentials
from search_operator.render.ledger import kept_ledger, ledger_name, ledger_object

from tests.cluster.resource_base import valid_index
from tests.testbed.apiserver import ApiServer

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

T = TypeVar("T")
NAME = "spending"


@pytest.fixture
def index(apiserver: ApiServer) -> Iterator[SemanticSearchIndex]:
    async def make(api: KubernetesApi) -> dict[str, Any]:
        return await api.apply(valid_index(NAME))

    yield SemanticSearchIndex.parse(asked(apiserver, make))
    apiserver.ask("delete", "configmap", "-n", "search", ledger_name(NAME), "--ignore-not-found")
    apiserver.ask("delete", "ssi", "-n", "search", NAME)


def asked(server: ApiServer, work: Callable[[KubernetesApi], Awaitable[T]]) -> T:
    """What `work` makes of the operator's own access to the API."""

    async def run() -> T:
        configuration = kubernetes_client.Configuration()
        await kubernetes_config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
        async with kubernetes_client.ApiClient(configuration) as client:
            return await work(KubernetesApi(client))

    return asyncio.run(run())


class Leader:
    """One replica of the operator: its cache, and its hands."""

    def __init__(self, api: KubernetesApi, index: SemanticSearchIndex) -> None:
        self.index, self.cache = index, Cache()
        self.actor = Actor(api, MilvusPool(), self.cache, lambda: True)

    @property
    def live(self) -> dict[str, Any] | None:
        """The ledger's ConfigMap as this replica knows it."""
        return self.cache.children(("search", NAME)).get(("ConfigMap", ledger_name(NAME)))

    @property
    def ledger(self) -> Ledger | None:
        """The ledger in it."""
        return kept_ledger(self.live, self.index)

    async def write(self, ledger: Ledger) -> Outcome:
        """One step, on top of what this replica knows."""
        version = self.live["metadata"]["resourceVersion"] if self.live else ""
        step = KeepLedger("a test", ledger_object(self.index, ledger, self.ledger), version)
        return await self.actor.execute(Plan((step,)), self.index, StoreCredentials())


def test_of_two_leaders_one_writes_and_the_other_reads_again(
    apiserver: ApiServer, index: SemanticSearchIndex
) -> None:
    async def work(api: KubernetesApi) -> None:
        one, other = Leader(api, index), Leader(api, index)
        assert (await one.write(opened("USD", 1))).failures == ()
        # It thinks that there is none.
        (late,) = (await other.write(opened("USD", 2))).failures
        assert (late.reason, late.needs_a_person) == ("Conflict", False)
        assert other.ledger == opened("USD", 1)
        assert (await other.write(opened("USD", 3))).failures == ()
        # It knows an older one.
        (late,) = (await one.write(opened("USD", 4))).failures
        assert late.reason == "Conflict"
        assert one.ledger == opened("USD", 3)
        # Somebody has removed it since.
        apiserver.ask("delete", "configmap", "-n", "search", ledger_name(NAME))
        (late,) = (await one.write(opened("USD", 5))).failures
        assert late.reason == "Conflict"
        assert one.ledger is None
        assert (await one.write(opened("USD", 6))).failures == ()

    asked(apiserver, work)


def test_another_currency_is_put_aside(apiserver: ApiServer, index: SemanticSearchIndex) -> None:
    async def work(api: KubernetesApi) -> None:
        leader = Leader(api, index)
        await leader.write(opened("USD", 1))
        await leader.write(opened("CNY", 2))
        await leader.write(opened("CNY", 3))
        assert leader.ledger == opened("CNY", 3)
        assert leader.live is not None
        assert leader.live["data"]["ledger-USD.json"] == opened("USD", 1).to_json()

    asked(apiserver, work)


def test_somebody_elses_config_map_is_left_alone(apiserver: ApiServer, index: SemanticSearchIndex) -> None:
    async def work(api: KubernetesApi) -> None:
        meta = {"name": ledger_name(NAME), "namespace": "search"}
        foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"mine": "1"}}
        await api.create(CONFIG_MAP, "search", foreign)
        (refused,) = (await Leader(api, index).write(opened("USD", 1))).failures
        assert (refused.reason, refused.needs_a_person) == ("NameTaken", True)
        live = await api.get(CONFIG_MAP, "search", ledger_name(NAME))
        assert live is not None
        assert live["data"] == {"mine": "1"}

    asked(apiserver, work)
